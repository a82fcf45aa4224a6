"""Files that a scan does not serve: named by kind, with what to do."""

import gzip
import io
import json
import logging

import h5py
import numpy as np
import pytest
import tifffile
from rich.console import Console

from bfly.butterfly import Butterfly
from bfly.cli import main
from bfly.discovery.passed_over import SHOWN
from bfly.discovery.report import notes_of, report
from bfly.discovery.scan import scan
from bfly.discovery.unread import UNREAD
from bfly.storage.files import Files


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    with h5py.File(path / "em.h5", "w") as file:
        file["main"] = np.arange(60, dtype="u1").reshape(3, 4, 5)
    return path


def found_in(folder):
    return scan(str(folder), Files())


def unread(folder):
    return {path.rpartition("/")[2]: reason for path, reason in found_in(folder).unread}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.czi", "an image of ZEISS ZEN. Convert it to OME-Zarr with bioformats2raw, or"),
        ("A.ND2", "an image of Nikon NIS-Elements. Convert it to OME-Zarr with bioformats2raw"),
        ("a.lif", "an image of Leica LAS. Convert it to OME-Zarr with bioformats2raw"),
        ("a.dm3", "an image of Gatan DigitalMicrograph. Save it as TIFF in DigitalMicrograph"),
        ("a.dm4", "an image of Gatan DigitalMicrograph. Save it as TIFF in DigitalMicrograph"),
        ("a.oib", "an image of Olympus FluoView. Convert it to OME-Zarr with bioformats2raw"),
        ("a.oif", "the description of an image of Olympus FluoView. Its TIFF sections"),
        ("a.vsv", "an image stack of VAST. Serve the images that it was made of, or export"),
        ("a.vsvr", "an image stack of VAST. Serve the images that it was made of, or export"),
        ("a.vss", "a segmentation of VAST. Export it from VAST as a stack of PNG or TIFF"),
        ("a.vsseg", "a segmentation of VAST. Export it from VAST as a stack of PNG or TIFF"),
        ("a.mat", "a file of MATLAB that is no HDF5 (version 7 or older). Save it again in"),
        ("a.raw", "voxels without a header. Write an NRRD header beside it"),
        (
            "a.h5.gz",
            "a .h5 compressed as a whole, of which no part can be read alone. Unpack it: g",
        ),
        ("a.HDF5.bz2", "a .hdf5 compressed as a whole, of which no part can be read alone. Unpack"),
        ("a.tif.xz", "a .tif compressed as a whole, of which no part can be read alone. Unpack it"),
        ("a.zarr.tar.gz", "a .zarr compressed as a whole, of which no part can be read alone"),
        ("a.n5.7z", "a .n5 compressed as a whole, of which no part can be read alone. Unpack it"),
        ("a.czi.gz", "a .czi compressed as a whole, of which no part can be read alone"),
    ],
)
def test_a_file_that_is_not_read_is_named_with_what_to_do(folder, name, what):
    (folder / name).write_bytes(b"\0" * 64)
    assert unread(folder) == {name: unread(folder)[name]}
    assert unread(folder)[name].startswith(what)
    assert found_in(folder).skipped == []
    assert found_in(folder).others == 0


def test_the_message_is_for_people():
    for ending, kind in UNREAD.items():
        assert ending == ending.lower()
        assert kind.what.split()[0] in ("a", "an", "the", "voxels")
        assert not str(kind).endswith(".")


def test_what_was_unpacked_is_not_named(folder):
    with gzip.open(folder / "em.h5.gz", "w") as file:
        file.write((folder / "em.h5").read_bytes())
    (folder / "v.raw").touch()
    (folder / "v.nhdr").write_text("NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1 1 1\n")
    assert unread(folder) == {}
    assert found_in(folder).others == 2


def test_archives_of_other_things_are_passed_over(folder):
    for name in ("code.tar.gz", "notes.txt.gz", "a.zip.7z", "x.json.gz"):
        (folder / name).touch()
    assert unread(folder) == {}
    assert found_in(folder).others == 4


def test_other_files_are_named_by_kind_with_an_example(folder):
    for number in range(12):
        (folder / f"meta{number}.XML").touch()
    for name in ("notes.txt", "README", "Makefile", "0.0.1", "0.0.2"):
        (folder / name).touch()
    found = found_in(folder)
    assert [str(kind) for kind in found.passed_over] == [
        "12 of .xml (meta0.XML …)",
        "2 named by numbers (0.0.1 …)",
        "2 without an ending (Makefile …)",
        "1 of .txt (notes.txt)",
    ]
    assert found.others == 17
    out = io.StringIO()
    report(found, Console(file=out, width=20))
    last = out.getvalue().splitlines()[-1]
    assert last == f"Passed over: {', '.join(map(str, found.passed_over))}."


def test_very_many_kinds_are_folded(folder):
    for number in range(50):
        (folder / f"a.kind{number:02}x").touch()
    kinds = found_in(folder).passed_over
    assert len(kinds) == SHOWN
    assert str(kinds[-1]) == "41 of 41 other kinds (a.kind09x …)"


def test_the_report_folds_files_of_a_kind(folder):
    for number in range(30):
        (folder / f"{number:02}.czi").touch()
    out = io.StringIO()
    report(found_in(folder), Console(file=out, width=20), most=2)
    lines = out.getvalue().splitlines()[-4:]
    assert lines == [
        f"Not served 30: {UNREAD['czi']}",
        f"  {folder}/00.czi",
        f"  {folder}/01.czi",
        "  … 28 more",
    ]


def test_the_log_names_what_is_not_served(folder, caplog):
    for name in ("a.czi", "b.czi", "x.xml"):
        (folder / name).touch()
    caplog.set_level(logging.INFO, "bfly")
    Butterfly(str(folder)).log_start()
    for line in notes_of(found_in(folder)):
        assert line in caplog.text
    assert f"Not served: 2 files ({folder}/a.czi …): {UNREAD['czi']}." in caplog.text
    assert "Passed over: 1 of .xml (x.xml)." in caplog.text


def test_the_doctor_warns_of_what_is_not_served(folder, capsys):
    for name in ("a.czi", "b.czi", "x.xml"):
        (folder / name).touch()
    assert main(["doctor", "-e", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "Passed over: 1 of .xml (x.xml)." in err
    (row,) = [each for each in json.loads(out)["channels"] if each["name"] == "a.czi"]
    (finding,) = row["findings"]
    assert finding == {
        "check": "unread",
        "message": "a.czi and 1 more: an image of ZEISS ZEN.",
        "remedy": "Convert it to OME-Zarr with bioformats2raw, or save it as TIFF with Fiji.",
        "is_error": False,
    }


def test_a_folder_of_nothing_else_says_so(tmp_path, capsys):
    (tmp_path / "a.czi").touch()
    assert main(["-e", str(tmp_path), "0"]) == 1
    assert f"Not served 1: {UNREAD['czi']}" in capsys.readouterr().err


def test_a_multi_page_tiff_behind_another_image_is_found(tmp_path):
    volume = np.arange(60, dtype="u1").reshape(3, 4, 5)
    (tmp_path / "a.bmp").write_bytes(b"BM")
    tifffile.imwrite(tmp_path / "big.btf", volume, bigtiff=True, photometric="minisblack")
    tifffile.imwrite(tmp_path / "big.tf8", volume, bigtiff=True, photometric="minisblack")
    found = found_in(tmp_path)
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert [channel.name for channel in dataset.channels] == ["big.btf", "big.tf8"]
    assert [path.rpartition("/")[2] for path, _ in found.skipped] == ["a.bmp"]
