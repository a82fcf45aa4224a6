import sys

import mrcfile
import numpy as np
import pytest

from bfly.errors import MissingLibrary, SourceError
from bfly.sources.mrc import Mrc
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


def write(path, volume, **header):
    """Write a file with mrcfile; the keywords are fields of the header."""
    with mrcfile.new(path, volume) as file:
        for name, value in header.items():
            file.header[name] = value
    return path


def whole(source):
    return source.read(0, source.scales[0].box)


class TestMrc(SourceSuite):
    source = Mrc
    dtypes = ("uint16", "int8", "int16", "float32")

    def write(self, folder, volume):
        return write(folder / "volume.mrc", volume)


class TestBigEndianWithAnExtendedHeader(SourceSuite):
    source = Mrc
    dtypes = ("uint16", "int16", "float32")

    def write(self, folder, volume):
        path = folder / "volume.map"
        with mrcfile.new(path, volume.astype(volume.dtype.newbyteorder(">"))) as file:
            file.set_extended_header(np.full(640, 7, "u1").view("V1"))
        assert path.read_bytes()[212:214] == b"\x11\x11"
        return path


class TestGzip(SourceSuite):
    source = Mrc
    dtypes = ("uint16",)

    def write(self, folder, volume):
        path = folder / "volume.mrc.gz"
        with mrcfile.new(path, volume, compression="gzip"):
            pass
        return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("flags", "dtype"), [(1, "int8"), (17, "int8"), (0, "uint8"), (16, "uint8")]
)
def test_bytes_are_signed_by_the_flag_of_imod(tmp_path, order, flags, dtype):
    volume = random_volume((3, 4, 5), "int8")
    path = tmp_path / "v.mrc"
    with mrcfile.new(path, volume.astype(f"{order}i1")) as file:
        file.header.extra2 = with_imod(file.header, order, flags)
    if order == ">":
        swap(path)
    source = Mrc.open(str(path))
    assert source.dtype == dtype
    np.testing.assert_array_equal(whole(source), volume.view(dtype))


def with_imod(header, order, flags):
    """Return the second unused part of a header, with the stamp and the flags of IMOD."""
    extra = np.frombuffer(header.extra2.tobytes(), f"{order}i4").copy()
    extra[10:12] = 1_146_047_817, flags
    return extra.view("V84")[0]


def swap(path):
    """Turn the header of a file around, all but the bytes of IMOD, which are already."""
    data = bytearray(path.read_bytes())
    header = np.frombuffer(bytes(data[:1024]), mrcfile.dtypes.HEADER_DTYPE).copy()
    header = header.byteswap().view(header.dtype.newbyteorder())
    header["machst"] = 0x11, 0x11, 0, 0
    path.write_bytes(header.tobytes() + data[1024:])


@pytest.mark.parametrize(
    ("lowest", "highest", "dtype"),
    [(-128, 127, "int8"), (0, 255, "uint8"), (0, 127, "int8"), (0, 0, "int8"), (9, -9, "int8")],
)
def test_bytes_without_the_flag_of_imod(tmp_path, caplog, lowest, highest, dtype):
    volume = random_volume((3, 4, 5), "int8")
    path = write(tmp_path / "v.mrc", volume, dmin=lowest, dmax=highest)
    with caplog.at_level("INFO", "bfly.sources.mrc"):
        source = Mrc.open(str(path))
    assert source.dtype == dtype
    np.testing.assert_array_equal(whole(source), volume.view(dtype))
    assert ("does not say whether its bytes are signed" in caplog.text) == (lowest >= highest)


def test_a_mode_that_is_not_served(tmp_path):
    path = write(tmp_path / "v.mrc", np.zeros((2, 2, 2), "c8"))
    with pytest.raises(SourceError, match="holds complex64 voxels; allowed are integers"):
        Mrc.open(str(path))


def test_voxel_size_is_in_nanometres(tmp_path):
    path = tmp_path / "v.mrc"
    with mrcfile.new(path, random_volume((3, 4, 5), "uint16")) as file:
        file.voxel_size = (86.0, 86.0, 400.5)
    np.testing.assert_allclose(Mrc.open(str(path)).voxel_size, (40.05, 8.6, 8.6), rtol=1e-6)


@pytest.mark.parametrize("angstrom", [0.0, 1.0])
def test_a_voxel_size_that_nobody_set(tmp_path, angstrom):
    path = tmp_path / "v.mrc"
    with mrcfile.new(path, random_volume((3, 4, 5), "uint16")) as file:
        file.voxel_size = angstrom
    assert Mrc.open(str(path)).voxel_size is None


def test_axes_in_another_order(tmp_path):
    volume = random_volume((3, 4, 5), "uint16")
    path = write(tmp_path / "v.map", volume, mapc=3, mapr=1, maps=2)
    with mrcfile.open(path, "r+") as file:
        file.header.mx, file.header.my, file.header.mz = 4, 3, 5
        file.header.cella = (40, 60, 150)
    source = Mrc.open(str(path))
    # Sections are along y, rows along x, columns along z.
    np.testing.assert_array_equal(whole(source), volume.transpose(2, 0, 1))
    assert source.voxel_size == (3.0, 2.0, 1.0)


def test_axes_that_make_no_sense(tmp_path):
    path = write(tmp_path / "v.map", random_volume((3, 4, 5), "uint16"), mapc=2, mapr=2, maps=3)
    with pytest.raises(SourceError, match=r"maps, mapr, mapc are \[3, 2, 2\]; allowed are 1, 2, 3"):
        Mrc.open(str(path))


def test_a_header_that_makes_no_sense(tmp_path):
    volume = random_volume((3, 4, 5), "uint16")
    for field, value, reason in (
        ("mode", 99, "99"),
        ("nx", -5, "all have to be 1 or more"),
        ("machst", np.array([1, 2, 3, 4], "u1"), "cannot be decoded"),
    ):
        path = tmp_path / f"{field}.mrc"
        write(path, volume)
        with open(path, "r+b") as file:
            header = np.frombuffer(file.read(1024), mrcfile.dtypes.HEADER_DTYPE).copy()
            header[field] = value
            file.seek(0)
            file.write(header.tobytes())
        assert Mrc.guess_can_open(str(path))
        with pytest.raises(SourceError, match=reason):
            Mrc.open(str(path))


def test_damaged_gzip_is_no_zeros(tmp_path):
    path = TestGzip().write(tmp_path, random_volume((9, 64, 64), "uint16"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"volume\.mrc\.gz cannot be decoded"):
        whole(Mrc.open(str(path)))


def test_without_mrcfile_it_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "v.mrc", random_volume((3, 4, 5), "uint16"))
    monkeypatch.setitem(sys.modules, "mrcfile", None)
    assert Mrc.guess_can_open(str(path))
    with pytest.raises(MissingLibrary, match=r"pip install 'bfly\[volumes\]'"):
        Mrc.open(str(path))
