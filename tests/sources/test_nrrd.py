import nrrd
import numpy as np
import pytest

from bfly.errors import NotAllowed, SourceError
from bfly.sources.nrrd import Nrrd
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


def write(path, volume, **header):
    """Write zyx voxels with pynrrd."""
    header = {name.replace("_", " "): value for name, value in header.items()}
    nrrd.write(str(path), volume.T, header=header)
    return path


def whole(source):
    return source.read(0, source.scales[0].box)


class TestRaw(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32")

    def write(self, folder, volume):
        return write(folder / "volume.nrrd", volume, encoding="raw")


class TestGzip(SourceSuite):
    source = Nrrd
    dtypes = ("uint8", "uint64")

    def write(self, folder, volume):
        return write(folder / "volume.nrrd", volume, encoding="gzip")


class TestBzip2BigEndian(SourceSuite):
    source = Nrrd
    dtypes = ("uint16", "int32", "float32")

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
    lines = "".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in fields.items())
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
        ({"encoding": "ascii"}, "encoding is ascii; allowed are raw, gz, gzip, bz2, bzip2"),
        ({"type": "double"}, "holds float64 voxels"),
        ({"type": "block"}, "cannot be decoded"),
        ({"dimension": 4, "sizes": "4 3 2 5"}, "has axes of 4 x 3 x 2 x 5 voxels"),
        ({"line_skip": 3}, "line skip is not 0"),
        ({"encoding": "gzip", "byte_skip": -1}, "byte skip is -1"),
        ({"data_file": "slice%03d.raw 1 5 1"}, "allowed is one file"),
    ],
)
def test_what_cannot_be_served(tmp_path, fields, reason):
    path = handmade(tmp_path / "v.nrrd", VOLUME.tobytes(), **fields)
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
