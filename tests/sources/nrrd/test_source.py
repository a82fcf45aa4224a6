import bz2
import gzip

import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.nrrd import Nrrd
from bfly.sources.shared import text_voxels
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


def write(path, volume, **header):
    """Write zyx voxels with pynrrd."""
    header = {name.replace("_", " "): value for name, value in header.items()}
    nrrd.write(str(path), volume.T, header=header)
    return path


TYPES = {
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float",
    "float64": "double",
}
"""Words of ``type`` by dtype."""


def whole(source):
    return source.read(0, source.scales[0].box)


class TestRaw(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")

    def write(self, folder, volume):
        return write(folder / "volume.nrrd", volume, encoding="raw")


class TestGzip(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "uint64")

    def write(self, folder, volume):
        return write(folder / "volume.nrrd", volume, encoding="gzip")


class TestBzip2BigEndian(SourceSuite):
    source = Nrrd
    dtypes = ("uint16", "int32", "float32", "float64")

    def write(self, folder, volume):
        volume = volume.astype(volume.dtype.newbyteorder(">"))
        return write(folder / "volume.nrrd", volume, encoding="bzip2", endian="big")


class TestDetachedHeader(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        return write(folder / "volume.nhdr", volume, encoding="raw")

    def voxel_file(self, path):
        return path.with_suffix(".raw")


class TestText(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "int16", "uint64", "int64", "float32", "float64")

    def write(self, folder, volume):
        # pynrrd rounds floats in text.
        words = " ".join(map(repr, volume.ravel().tolist()))
        fields = {"type": TYPES[volume.dtype.name], "sizes": " ".join(map(str, volume.shape[::-1]))}
        handmade(folder / "volume.nrrd", words.encode(), encoding="text", **fields)
        return folder / "volume.nrrd"


class TestList(SourceSuite):
    source = Nrrd
    dtypes = ("uint16", "float64")

    def write(self, folder, volume):
        names = []
        for z, section in enumerate(volume):
            names.append(f"section {z}.raw")
            (folder / names[-1]).write_bytes(
                section.astype(section.dtype.newbyteorder("<")).tobytes()
            )
        fields = {"type": TYPES[volume.dtype.name], "sizes": " ".join(map(str, volume.shape[::-1]))}
        listed = "\n".join(["LIST", *names])
        handmade(folder / "volume.nhdr", b"", data_file=listed, endian="little", **fields)
        return folder / "volume.nhdr"

    def voxel_file(self, path):
        return path.with_name("section 0.raw")


class TestPatternInGzip(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "int32")

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            data = gzip.compress(section.astype(section.dtype.newbyteorder(">")).tobytes())
            (folder / f"s{2 * z + 3:03}.gz").write_bytes(data)
        fields = {"type": TYPES[volume.dtype.name], "sizes": " ".join(map(str, volume.shape[::-1]))}
        pattern = f"s%03d.gz 3 {2 * len(volume) + 1} 2"
        options = {"data_file": pattern, "endian": "big", "encoding": "gzip"}
        handmade(folder / "volume.nhdr", b"", **options, **fields)
        return folder / "volume.nhdr"

    def voxel_file(self, path):
        return path.with_name("s003.gz")


DIRECTIONS = np.array([[0, 0.5, 0], [0.3, 0, 0.4], [0, 0, -4.0]])


@pytest.mark.parametrize(
    ("header", "voxel_size"),
    [
        ({"space_directions": DIRECTIONS, "space_units": ["um"] * 3}, (4000.0, 500.0, 500.0)),
        ({"space_directions": DIRECTIONS, "space_units": ["nm"] * 3}, (4.0, 0.5, 0.5)),
        ({"space_directions": DIRECTIONS}, None),
        ({"spacings": [4, 5, 30], "units": ["nanometers"] * 3}, (30.0, 5.0, 4.0)),
        ({"spacings": [4, 5, 30]}, None),
        ({"spacings": [4, 5, 30], "units": ["nm", "nm", "s"]}, None),
        ({}, None),
    ],
)
def test_voxel_size(tmp_path, header, voxel_size):
    if "space_directions" in header:
        header = {"space_dimension": 3, **header}
    path = write(tmp_path / "v.nrrd", random_volume((2, 3, 4), "uint8"), **header)
    assert Nrrd.open(str(path)).voxel_size == voxel_size


def handmade(path, data, **fields):
    fields = {"type": "uchar", "dimension": 3, "sizes": "4 3 2", "encoding": "raw", **fields}
    # The list of names comes last.
    fields["data_file"] = fields.pop("data_file", None)
    lines = "".join(
        f"{name.replace('_', ' ')}: {value}\n"
        for name, value in fields.items()
        if value is not None
    )
    path.write_bytes(b"NRRD0004\n" + lines.encode() + b"\n" + data)
    return str(path)


VOLUME = random_volume((2, 3, 4), "uint8")


@pytest.mark.parametrize(
    ("word", "dtype"),
    [
        ("signed char", "i1"), ("unsigned char", "u1"), ("short", "i2"), ("ushort", "u2"),
        ("unsigned short int", "u2"), ("int", "i4"), ("signed int", "i4"), ("uint32_t", "u4"),
        ("long long", "i8"), ("unsigned long long int", "u8"), ("float", "f4"),
    ],
)  # fmt: skip
def test_types(tmp_path, word, dtype):
    volume = VOLUME.view("i1").astype(dtype)
    path = handmade(tmp_path / "v.nrrd", volume.tobytes(), type=word, endian="little")
    source = Nrrd.open(path)
    assert source.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(whole(source), volume)


@pytest.mark.parametrize("skip", [5, -1])
def test_bytes_that_are_skipped(tmp_path, skip):
    path = handmade(tmp_path / "v.nrrd", b"other" + VOLUME.tobytes(), byte_skip=skip)
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)


def test_an_axis_of_one_voxel(tmp_path):
    path = handmade(tmp_path / "v.nrrd", VOLUME.tobytes(), dimension=4, sizes="1 4 3 2")
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"encoding": "hex"}, "encoding is hex; allowed are raw, gz, gzip, bz2, bzip2, text"),
        ({"encoding": "ascii"}, "cannot be decoded: its text has other words|invalid literal"),
        ({"encoding": "ascii", "byte_skip": -1}, "byte skip is -1; allowed for encodings other"),
        ({"type": "block"}, "cannot be decoded"),
        ({"dimension": 4, "sizes": "4 3 2 5"}, "has axes of 4 x 3 x 2 x 5 voxels"),
        ({"line_skip": 3}, "line skip is 3; the first 24 bytes of the data in .* have [0-2] lines"),
        ({"line_skip": -1}, "line skip is -1; allowed is 0 or more"),
        ({"byte_skip": -2}, "byte skip is -2; .* has .* bytes, which do not hold 24 of voxels"),
        ({"encoding": "gzip", "byte_skip": -1}, "byte skip is -1"),
        ({"data_file": "slice%03d.raw 1 5 1"}, "names 5 data files of 2 axes .*; 2 are needed"),
        ({"data_file": "slice%03d.raw 1 2 0"}, "its step 0 does not lead from 1 to 2"),
        ({"data_file": "slice%03d.raw 1 2 -1"}, "its step -1 does not lead from 1 to 2"),
        ({"data_file": "%d/slice%03d.raw 1 2 1"}, "allowed is one %d in the name"),
        ({"data_file": "slice%03d.raw 1 2 1 4"}, "data files have 4 axes; allowed are 1 to 3"),
        ({"data_file": "slice%d.raw 1 9999999999 1"}, "has 9999999999 data files; allowed are"),
    ],
)
def test_what_cannot_be_served(tmp_path, fields, reason):
    path = handmade(tmp_path / "v.nrrd", VOLUME.tobytes(), **fields)
    with pytest.raises(SourceError, match=reason):
        whole(Nrrd.open(path))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data_file": "LIST of all\n1.raw\n2.raw"}, "'LIST of all'; allowed is LIST, with a num"),
        ({"data_file": "LIST\n1.raw"}, "names 1 data files of 2 axes .*; 2 are needed"),
        ({"data_file": "LIST\n1.raw\n2.raw"}, "the data file .*1.raw does not exist"),
    ],
)
def test_a_list_that_cannot_be_served(tmp_path, fields, reason):
    path = handmade(tmp_path / "v.nhdr", b"", **fields)
    with pytest.raises(SourceError, match=reason):
        Nrrd.open(path)


def test_voxels_outside_allowed_paths(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(VOLUME.tobytes())
    path = handmade(folder / "v.nhdr", b"", data_file="../secret.raw")
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)
    with pytest.raises(NotAllowed):
        whole(Nrrd.open(path, files=Files([str(folder)])))


def test_a_header_without_an_end(tmp_path):
    (tmp_path / "v.nrrd").write_bytes(b"NRRD0004\n" + bytes(3 << 20))
    with pytest.raises(SourceError, match="cannot be decoded"):
        Nrrd.open(str(tmp_path / "v.nrrd"))


C_AND_SPACE = "none (1,0,0) (0,1,0) (0,0,1)"


@pytest.mark.parametrize(
    ("fields", "letter"),
    [
        ({"kinds": "RGB-color domain domain domain"}, "c"),
        ({"kinds": "vector space space space"}, "c"),
        ({"kinds": "list domain domain domain", "labels": '"frame" "" "" ""'}, "t"),
        ({"kinds": "time domain domain domain"}, "t"),
        ({"space_dimension": 3, "space_directions": C_AND_SPACE}, "c"),
        ({"labels": '"c" "x" "y" "z"'}, "c"),
    ],
)
def test_components_and_times_select_a_volume(tmp_path, fields, letter):
    volume = random_volume((2, 3, 4, 5), "uint16")
    path = tmp_path / "v.nrrd"
    options = {"type": "uint16", "endian": "little", "dimension": 4, "sizes": "5 4 3 2"}
    handmade(path, volume.astype("<u2").tobytes(), **options, **fields)
    parts = Nrrd.parts(str(path), Files())
    assert [str(part) for part in parts] == ["", *(f"{letter}={i}" for i in range(1, 5))]
    for place, part in enumerate(parts):
        np.testing.assert_array_equal(whole(Nrrd.open(str(path), part=part)), volume[..., place])


def test_colours_of_a_section_are_no_z(tmp_path):
    path = handmade(tmp_path / "v.nrrd", VOLUME.tobytes(), kinds="domain domain RGB-color")
    assert len(Nrrd.parts(path, Files())) == 2
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME[:1])


def _tiff(path):
    tifffile.imwrite(path, VOLUME)


def _hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=VOLUME)


def _nifti(path):
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.eye(4)), path)


def _mrc(path):
    with mrcfile.new(path) as file:
        file.set_data(VOLUME.astype("i2"))


OTHERS = {
    "v.h5": _hdf5,
    "v.tif": _tiff,
    "v.nii": _nifti,
    "v.nii.gz": _nifti,
    "v.mrc": _mrc,
    "v.npy": lambda path: np.save(path, VOLUME),
    "v.nrrd": lambda path: write(path, VOLUME),
}


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("skip", [0, 100, -1])
@pytest.mark.parametrize("name", OTHERS)
def test_a_header_that_points_into_another_format_is_refused(tmp_path, name, skip, renamed):
    """By its content, and by its name where the content tells nothing."""
    OTHERS[name](tmp_path / name)
    if renamed:
        (tmp_path / name).rename(tmp_path / "v.raw")
        name = "v.raw"
    path = handmade(tmp_path / "v.nhdr", b"", data_file=name, byte_skip=skip)
    with pytest.raises(SourceError, match=rf"v\.nhdr: the data file .*{name} is .*; allowed"):
        Nrrd.open(path)


def test_a_file_with_the_name_of_another_format_is_refused(tmp_path):
    (tmp_path / "v.h5").write_bytes(VOLUME.tobytes())
    path = handmade(tmp_path / "v.nhdr", b"", data_file="v.h5")
    with pytest.raises(SourceError, match=r"v\.h5 is an HDF5 file by its name"):
        Nrrd.open(path)


def test_a_data_file_that_is_missing_is_named(tmp_path):
    path = handmade(tmp_path / "v.nhdr", b"", data_file="gone.raw")
    with pytest.raises(SourceError, match=r"v\.nhdr: the data file .*gone\.raw does not exist"):
        Nrrd.open(path)


@pytest.mark.parametrize("packing", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("is_detached", [False, True])
def test_lines_and_bytes_that_are_skipped(tmp_path, packing, is_detached):
    """Lines before decompression, bytes after it, as in teem."""
    encoding = {bytes: "raw", gzip.compress: "gzip", bz2.compress: "bz2"}[packing]
    data = b"# vtk\r\nof 2 lines\n" + packing(b"other" + VOLUME.tobytes())
    options = {"line_skip": 2, "byte_skip": 5, "encoding": encoding}
    if is_detached:
        (tmp_path / "v.vtk").write_bytes(data)
        path = handmade(tmp_path / "v.nhdr", b"", data_file="v.vtk", **options)
    else:
        path = handmade(tmp_path / "v.nrrd", data, **options)
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)


def test_lines_and_bytes_before_text(tmp_path):
    words = b"x\ny\nzz" + b", ".join(b"%d" % voxel for voxel in VOLUME.ravel())
    path = handmade(tmp_path / "v.nrrd", words, line_skip=2, byte_skip=2, encoding="txt")
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)


@pytest.mark.parametrize(("skip", "after"), [(-1, b""), (-4, b"end")])
def test_bytes_counted_from_the_end(tmp_path, skip, after):
    for z, section in enumerate(VOLUME):
        (tmp_path / f"{z}.raw").write_bytes(bytes(7 * z) + section.tobytes() + after)
    path = handmade(tmp_path / "v.nhdr", b"", data_file="LIST\n0.raw\n1.raw", byte_skip=skip)
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1 2 300", "out of bounds"),
        (b"1 2 -3", "out of bounds"),
        (b"1 2 3.5", "invalid literal"),
        (b"1 2 0x10", "invalid literal"),
        (b"1 2 1_0", "other words than numbers"),
        (b"1 2 " + b"0" * 100 + b" ", "other words than numbers"),
        (b"1 2 " + b"0" * 3_000_000, "a word of more than 64 characters"),
        (b"1 2 3", "is truncated: 24 bytes are expected in it, 3 are there"),
    ],
)
def test_text_that_is_no_voxels(tmp_path, text, reason):
    path = handmade(tmp_path / "v.nrrd", text, encoding="ascii")
    with pytest.raises(SourceError, match=rf"v\.nrrd .*{reason}"):
        whole(Nrrd.open(path))


def test_text_of_any_length(tmp_path, monkeypatch):
    """Numbers are not divided where the text is read in pieces."""
    monkeypatch.setattr(text_voxels, "PIECE", 7)
    volume = random_volume((2, 3, 4), "int64")
    words = "\n".join(map(str, volume.ravel())).encode()
    path = handmade(tmp_path / "v.nrrd", words, encoding="ascii", type="int64")
    np.testing.assert_array_equal(whole(Nrrd.open(path)), volume)


@pytest.mark.parametrize("subdim", [1, 2, 3, 4])
@pytest.mark.parametrize("kinds", ["list domain domain domain", "domain domain domain list"])
def test_axes_divided_among_files(tmp_path, kinds, subdim):
    """Each file has the first axes; of all axes, it has a share of the last one."""
    array = random_volume((6, 3, 4), "uint8").reshape(2, 3, 4, 3)
    pieces = array if subdim == 4 else array.reshape(-1, *array.shape[4 - subdim :])
    for number, piece in enumerate(pieces):
        (tmp_path / f"{number}.raw").write_bytes(piece.tobytes())
    pattern = f"%d.raw 0 {len(pieces) - 1} 1 {subdim}"
    options = {"dimension": 4, "sizes": "3 4 3 2", "kinds": kinds, "data_file": pattern}
    path = handmade(tmp_path / "v.nhdr", b"", **options)
    parts = Nrrd.parts(path, Files())
    expected = np.moveaxis(array, -1, 0) if kinds.startswith("list") else array
    assert len(parts) == len(expected)
    for part, volume in zip(parts, expected, strict=True):
        source = Nrrd.open(path, part=part)
        np.testing.assert_array_equal(whole(source), volume)
        box = BoundingBox((1, 1, 1), volume.shape)
        np.testing.assert_array_equal(source.read(0, box), volume[1:, 1:, 1:])


def test_a_listed_file_outside_allowed_paths(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "0.raw").write_bytes(VOLUME[0].tobytes())
    (tmp_path / "1.raw").write_bytes(VOLUME[1].tobytes())
    path = handmade(folder / "v.nhdr", b"", data_file="LIST\n0.raw\n../1.raw")
    np.testing.assert_array_equal(whole(Nrrd.open(path)), VOLUME)
    with pytest.raises(NotAllowed):
        Nrrd.open(path, files=Files([str(folder)]))


def test_a_listed_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "0.raw").write_bytes(VOLUME[0].tobytes())
    _tiff(tmp_path / "1.tif")
    path = handmade(tmp_path / "v.nhdr", b"", data_file="LIST\n0.raw\n1.tif")
    with pytest.raises(SourceError, match=r"the data file .*1\.tif is a TIFF file by its name"):
        Nrrd.open(path)
