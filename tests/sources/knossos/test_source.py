"""Cubes of KNOSSOS, and the files that describe them."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar

import imagecodecs
import numpy as np
import pytest

from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.knossos.source import Knossos
from bfly.storage.files import Files
from bfly.storage.part import Part, split_path
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from tests.fixtures.knossos_cubes import (
    cube_name,
    described,
    packed,
    write,
    write_cubes,
)

if TYPE_CHECKING:
    from pathlib import Path

    Voxels = np.ndarray[Any, np.dtype[Any]]

CUBE = (8, 16, 16)


class TestRaw(SourceSuite):
    source = Knossos

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, cube=CUBE)


class TestPng(SourceSuite):
    source = Knossos

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, ending=".png", cube=CUBE, by="pyk.conf")


class TestLabels(SourceSuite):
    source = Knossos
    dtypes = ("uint64",)

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, ending=".seg.sz.zip", cube=CUBE)

    def voxel_file(self, path: Path) -> Path:
        return next(iter(sorted(path.rglob("*.seg.sz.zip"))))


class TestConf(SourceSuite):
    source = Knossos

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, cube=(16, 16, 16), by="knossos.conf")


def whole(source: Knossos, mip: int = 0) -> Voxels:
    return source.read(mip, source.scales[mip].box)


ENDINGS = (".raw", ".png", ".jpg", ".j2k", ".6.jp2", ".seg", ".seg.sz", ".seg.sz.zip")


@pytest.mark.parametrize("by", ["k.toml", "pyk.conf", "knossos.conf"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_cubes_of_each_ending(tmp_path: Path, ending: str, by: str) -> None:
    labels = ending.startswith(".seg")
    z, y, x = np.ogrid[:20, :40, :33]
    voxels = (z * 3 + y * 2 + x).astype("uint8") if not labels else random_volume(
        (20, 40, 33), "uint64"
    )  # fmt: skip
    path = write(tmp_path / "d", voxels, ending=ending, cube=(16, 16, 16), by=by)
    source = Knossos.open(str(path))
    assert source.dtype == voxels.dtype
    assert source.kind == ("segmentation" if labels else "image")
    assert source.kind_source == f"file: cubes {ending}"
    assert source.voxel_size == (30.0, 4.0, 4.0)
    assert source.voxel_size_source.startswith("file: ")
    np.testing.assert_allclose(whole(source), voxels, rtol=0, atol=8 if ending == ".jpg" else 0)


@pytest.mark.parametrize("ending", [".raw", ".png"])
def test_images_of_16_bits(tmp_path: Path, ending: str) -> None:
    voxels = random_volume((8, 20, 20), "uint16")
    write_cubes(tmp_path, voxels, mag=1, name="d", ending=ending, cube=CUBE)
    more = {"DataType": "uint16"} if ending == ".raw" else {}
    text = described("d", [ending], voxels.shape, CUBE, [(4, 4, 30)], **more)
    (tmp_path / "d.k.toml").write_text(text)
    np.testing.assert_array_equal(whole(Knossos.open(str(tmp_path))), voxels)


@pytest.mark.parametrize(
    ("by", "numbers"), [("k.toml", (1, 2, 3)), ("pyk.conf", (1, 2, 3)), ("knossos.conf", (1, 2, 4))]
)
def test_mags_are_mips(tmp_path: Path, by: str, numbers: tuple[int, ...]) -> None:
    z = 2 if by == "knossos.conf" else 1
    mags = {
        number: random_volume((16 // z**mip, 64 >> mip, 48 >> mip), "uint8", seed=mip)
        for mip, number in enumerate(numbers)
    }
    path = write(tmp_path / "d", mags, cube=(16, 16, 16), by=by)
    source = Knossos.open(str(path))
    assert [each.factor for each in source.scales.values()] == [
        (z**mip, 2**mip, 2**mip) for mip in range(3)
    ]
    for mip, voxels in enumerate(mags.values()):
        np.testing.assert_array_equal(whole(source, mip), voxels)


def test_folders_of_mags_are_counted_as_the_server_format_says(tmp_path: Path) -> None:
    mags = {1: random_volume((16, 32, 32), "uint8"), 2: random_volume((8, 16, 16), "uint8")}
    mags |= {4: random_volume((4, 8, 8), "uint8")}
    for mag, voxels in mags.items():
        write_cubes(tmp_path, voxels, mag=mag, name="d", ending=".raw", cube=CUBE)
    sizes = [(4 * mag, 4 * mag, 30 * mag) for mag in mags]
    text = described("d_mag1", [".raw"], mags[1].shape, CUBE, sizes, ServerFormat="knossos")
    (tmp_path / "d.k.toml").write_text(text)
    source = Knossos.open(str(tmp_path))
    for mip, voxels in enumerate(mags.values()):
        np.testing.assert_array_equal(whole(source, mip), voxels)


def test_the_conf_of_a_mag_counts_in_its_voxels(tmp_path: Path) -> None:
    voxels = random_volume((8, 16, 16), "uint8")
    path = write(tmp_path / "d", {2: voxels}, cube=(16, 16, 16), by="knossos.conf")
    text = (path / "knossos.conf").read_text().replace("magnification 1", "magnification 2")
    (path / "mag2" / "knossos.conf").write_text(text.replace('"cubed"', '"cubed_mag2"'))
    (path / "knossos.conf").unlink()
    for place in (path, path / "mag2"):
        source = Knossos.open(str(place))
        assert source.voxel_size == (30.0, 4.0, 4.0)
        np.testing.assert_array_equal(whole(source), voxels)


def channels_in(folder: Path) -> dict[str, str]:
    found = scan(str(folder), Files())
    return {
        channel.name: channel.path
        for experiment in found.experiments
        for dataset in experiment.samples[0].datasets
        for channel in dataset.channels
    }


def test_each_layer_is_a_channel(tmp_path: Path) -> None:
    image, ids = random_volume((8, 16, 16), "uint8"), random_volume((8, 16, 16), "uint64")
    folder = tmp_path / "d"
    write_cubes(folder, image, mag=1, name="em", ending=".raw", cube=CUBE)
    write_cubes(folder, ids, mag=1, name="em", ending=".seg.sz.zip", cube=CUBE)
    write_cubes(folder / "more", ids + np.uint64(1), mag=1, name="ids", ending=".seg", cube=CUBE)
    layers = [
        described("em", [".jpg", ".raw", ".seg.sz.zip"], image.shape, CUBE, [(4, 4, 30)]),
        described("ids", [".seg"], ids.shape, CUBE, [(4, 4, 30)], URL=f"file://{folder}/more"),
    ]
    (folder / "d.k.toml").write_text("".join(layers))
    channels = channels_in(tmp_path)
    assert channels.keys() == {"d-em", "d-em-overlay", "d-ids"}
    expected = {"d-em": image, "d-em-overlay": ids, "d-ids": ids + np.uint64(1)}
    for name, path in channels.items():
        place, part = split_path(path)
        np.testing.assert_array_equal(whole(Knossos.open(place, part=part)), expected[name])
    with pytest.raises(SourceError, match="has no layer em-overlays; it has em, em-overlay, ids"):
        Knossos.open(str(folder), part=Part("em-overlays"))
    inside = Files([str(folder / "mag1"), str(folder / "d.k.toml")])
    with pytest.raises(NotAllowed, match="is not in allowed-paths"):
        Knossos.open(str(folder), part=Part("ids"), files=inside)


def test_labels_beside_an_image_are_a_channel_of_their_own(tmp_path: Path) -> None:
    image, ids = random_volume((8, 16, 16), "uint8"), random_volume((8, 16, 16), "uint64")
    folder = write(tmp_path / "d", image, cube=(16, 16, 16), by="knossos.conf")
    assert channels_in(tmp_path).keys() == {"d"}
    write_cubes(folder, ids, mag=1, name="cubed", ending=".seg.sz.zip", cube=(16, 16, 16))
    assert channels_in(tmp_path).keys() == {"d-cubed", "d-cubed-overlay"}
    source = Knossos.open(str(folder), part=Part("cubed-overlay"))
    np.testing.assert_array_equal(whole(source), ids)


def test_a_description_may_be_elsewhere(tmp_path: Path) -> None:
    voxels = random_volume((8, 16, 16), "uint8")
    write_cubes(tmp_path / "here" / "d", voxels, mag=1, name="d", ending=".raw", cube=CUBE)
    text = described("d", [".raw"], voxels.shape, CUBE, [(4, 4, 30)], URL="d")
    (tmp_path / "here" / "d.k.toml").write_text(text)
    channels = channels_in(tmp_path)
    assert channels.keys() == {"d.k.toml"}
    np.testing.assert_array_equal(whole(Knossos.open(channels["d.k.toml"])), voxels)


def test_a_dataset_may_have_been_moved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    voxels = random_volume((8, 16, 16), "uint8")
    write_cubes(tmp_path, voxels, mag=1, name="d", ending=".raw", cube=CUBE)
    text = described("d", [".raw"], voxels.shape, CUBE, [(4, 4, 30)], URL="file:///old/place/d/")
    (tmp_path / "d.k.toml").write_text(text)
    np.testing.assert_array_equal(whole(Knossos.open(str(tmp_path))), voxels)
    assert "there are no cubes in /old/place/d; those beside it are read" in caplog.text


def test_cubes_that_nothing_describes_are_named(tmp_path: Path) -> None:
    voxels = random_volume((8, 16, 16), "uint8")
    write_cubes(tmp_path / "d", voxels, mag=1, name="d", ending=".png", cube=CUBE)
    assert channels_in(tmp_path).keys() == {"d"}
    with pytest.raises(SourceError, match=r"d has no .k.toml, .pyk.conf or knossos.conf that says"):
        Knossos.open(str(tmp_path / "d"))


def test_a_missing_cube_is_blank(tmp_path: Path) -> None:
    for ending in (".raw", ".png"):
        voxels = random_volume((8, 16, 32), "uint8")
        path = write(tmp_path / ending[1:], voxels, ending=ending, cube=CUBE)
        (path / cube_name("cubed", 1, (0, 0, 1), ending)).unlink()
        source = Knossos.open(str(path))
        got = whole(source)
        assert not got[:, :, 16:].any()
        np.testing.assert_array_equal(got[:, :, :16], voxels[:, :, :16])
        write_cubes(path, voxels, mag=1, name="cubed", ending=ending, cube=CUBE)
        assert source.changed() is not None


def cube_of(folder: Path, ending: str) -> Path:
    return folder / cube_name("cubed", 1, (0, 0, 0), ending)


def zipped(*entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, data in enumerate(entries):
            archive.writestr(f"{number}.seg.sz", data)
    return stream.getvalue()


SNAPPY = bytes(imagecodecs.snappy_encode(bytes(8 * 2048)))


@pytest.mark.parametrize(
    ("ending", "data", "reason"),
    [
        (".raw", b"", "has 0 bytes; a cube has 2048"),
        (".raw", bytes(2047), "has 2047 bytes; a cube has 2048"),
        (".raw", bytes(4096), "has 4096 bytes; a cube has 2048"),
        (".seg", bytes(2048), "has 2048 bytes; a cube has 16384"),
        (".png", packed(np.zeros((8, 16, 8), "u1"), ".png"), "pixels; a cube has 2048"),
        (".jpg", b"\xff\xd8\xff", "cannot be decoded"),
        (".j2k", packed(np.zeros((8, 16, 8), "u1"), ".j2k"), "a cube has 2048"),
        (".j2k", bytes(100), "it has no code stream of JPEG 2000"),
        (".seg.sz", SNAPPY[:-5], "cannot be decoded"),
        (".seg.sz", bytes(imagecodecs.snappy_encode(bytes(99))), "it unpacks to 99 bytes"),
        (".seg.sz.zip", b"PK", "it is no whole zip archive"),
        (".seg.sz.zip", zipped(SNAPPY, SNAPPY), "it has not one entry"),
        (".seg.sz.zip", zipped(SNAPPY)[:-30], "cannot be decoded"),
    ],
)
def test_damage_is_an_error(tmp_path: Path, ending: str, data: bytes, reason: str) -> None:
    dtype = "uint64" if ".seg" in ending else "uint8"
    path = write(tmp_path / "d", random_volume((8, 16, 32), dtype), ending=ending, cube=CUBE)
    file = cube_of(path, ending)
    file.write_bytes(data)
    if ending == ".png":
        assert Knossos.open(str(path)).read(0, BoundingBox((0, 0, 16), (8, 16, 32))).any()
    with pytest.raises(SourceError, match=f"{file.name}.*{reason}"):
        whole(Knossos.open(str(path)))


def test_an_archive_that_states_too_much_is_refused(tmp_path: Path) -> None:
    ids = random_volume((8, 16, 16), "uint64")
    path = write(tmp_path / "d", ids, ending=".seg.sz.zip", cube=CUBE)
    file = cube_of(path, ".seg.sz.zip")
    file.write_bytes(zipped(bytes(10_000_000)))
    with pytest.raises(Oversized, match="its entry is 10000000 bytes long"):
        whole(Knossos.open(str(path)))
    data = zipped(SNAPPY)
    file.write_bytes(data[:-10] + struct.pack("<I", 1 << 30) + data[-6:])
    with pytest.raises(Oversized, match="the directory of its entries"):
        whole(Knossos.open(str(path)))


def test_cubes_under_another_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d", random_volume((8, 16, 16), "uint8"), cube=CUBE)
    file = cube_of(path, ".raw")
    file.rename(file.with_name(file.name.replace("cubed", "other")))
    with pytest.raises(SourceError, match=r"cubed_mag1_x0000.*is missing, .*other_mag1_x0000"):
        Knossos.open(str(path))


def test_a_mag_that_is_missing_is_computed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mags = {1: random_volume((8, 16, 16), "uint8"), 2: random_volume((8, 8, 8), "uint8")}
    path = write(tmp_path / "d", mags, cube=CUBE)
    shutil.rmtree(path / "mag2")
    assert Knossos.open(str(path)).scales.keys() == {0}
    assert "d/mag2; mags that are coarser are computed" in caplog.text
    shutil.rmtree(path / "mag1")
    with pytest.raises(SourceError, match=r"cubed.k.toml: there is no .*d/mag1 with cubes"):
        Knossos.open(str(path))


LAYER: dict[str, Any] = {"shape": (8, 16, 16), "cube": CUBE, "sizes": [(4, 4, 30)]}


class TestRefusals:
    changes: ClassVar[list[tuple[dict[str, Any], str]]] = [
        ({"URL": "http://me:secret@h.org/d"}, "the cubes of d are on a server, http://h.org/d"),
        ({"ServerFormat": "precomputed"}, "its ServerFormat is precomputed; allowed are cubes"),
        ({"FileExtension": [".tif"]}, "its FileExtension is .tif; allowed are .raw, .seg, .png"),
        ({"FileExtension": []}, "the layer d has no FileExtension"),
        ({"FileExtension": [7]}, r"its FileExtension is \[7\]; allowed is text"),
        ({"VoxelSize_nm": []}, r"its VoxelSize_nm is \[\]; needed is one for a mag"),
        ({"VoxelSize_nm": [[4, 4]]}, r"a voxel has \[4, 4\] nm; allowed are three lengths"),
        ({"Extent_px": [1, 2]}, r"Extent_px is \[1, 2\]; it has to have x, y and z"),
        ({"CubeShape_px": [0, 1, 1]}, r"CubeShape_px is \[0, 1, 1\]; allowed are whole numbers"),
        ({"Name": "a/b"}, "its name is 'a/b'; it has to be that of its cubes"),
        ({"DataType": "text"}, "its DataType is 'text'; allowed are uint8"),
    ]

    @pytest.mark.parametrize(("change", "reason"), changes)
    def test_what_a_layer_must_not_say(
        self, tmp_path: Path, change: dict[str, Any], reason: str
    ) -> None:
        (tmp_path / "mag1").mkdir()
        file = tmp_path / "d.k.toml"
        file.write_text(described("d", [".raw"], LAYER["shape"], CUBE, LAYER["sizes"], **change))
        with pytest.raises(SourceError, match=f"d.k.toml.*{reason}"):
            Knossos.open(str(file))

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("d.k.toml", "[[Layer]", "d.k.toml is not usable TOML"),
            ("d.k.toml", "Layer = 1 # [[Layer]]", r"d.k.toml has no \[\[Layer\]\]"),
            ("d.pyk.conf", "_Dataset", r"d.pyk.conf has no \[Dataset\]"),
            ("d.pyk.conf", "[Dataset]\n_Extent = a,b", "_Extent is 'a'; allowed are numbers"),
            ("d.k.conf", 'experiment name "d";', "d.k.conf has no boundary x"),
            ("d.k.conf", "boundary x y;", "boundary x is 'y'; allowed are numbers from 0"),
        ],
    )
    def test_damaged_descriptions(self, tmp_path: Path, name: str, text: str, reason: str) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(SourceError, match=reason):
            Knossos.open(str(tmp_path / name))

    def test_a_cube_beyond_the_limit(self, tmp_path: Path) -> None:
        (tmp_path / "mag1").mkdir()
        big = (4096, 4096, 4096)
        text = described("d", [".raw"], big, big, LAYER["sizes"])
        (tmp_path / "d.k.toml").write_text(text)
        with pytest.raises(Oversized, match="a cube of 4096 x 4096 x 4096 voxels"):
            Knossos.open(str(tmp_path))


def test_a_conf_of_a_server_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d", random_volume((8, 16, 16), "uint8"), by="knossos.conf")
    with (path / "knossos.conf").open("a") as file:
        file.write("ftp_mode h.org /data/d user word 30000;\n")
    with pytest.raises(SourceError, match=r"are on a server, http://h\.org"):
        Knossos.open(str(path))
