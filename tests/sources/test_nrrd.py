import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

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


@pytest.mark.parametrize("word", ["LIST", "LIST 2"])
def test_a_list_of_data_files_is_refused_by_name(tmp_path, word):
    for z, section in enumerate(VOLUME):
        (tmp_path / f"{z}.raw").write_bytes(section.tobytes())
    path = tmp_path / "v.nhdr"
    handmade(path, b"", data_file=f"{word}\n0.raw\n1.raw")
    with pytest.raises(SourceError, match=rf"v\.nhdr: data file is '{word}'; allowed is one file"):
        Nrrd.open(str(path))


def test_a_data_file_that_is_missing_is_named(tmp_path):
    path = handmade(tmp_path / "v.nhdr", b"", data_file="gone.raw")
    with pytest.raises(SourceError, match=r"v\.nhdr: the data file .*gone\.raw does not exist"):
        Nrrd.open(path)
