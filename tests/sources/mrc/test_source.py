import bz2
import gzip
import sys

import mrcfile
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.errors import MissingLibrary, SourceError
from bfly.sources.mrc import Mrc
from bfly.sources.mrc.source import ENDINGS
from bfly.storage.files import Files
from bfly.storage.part import Part
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
    dtypes = ("uint16", "int8", "int16", "float16", "float32")

    def write(self, folder, volume):
        return write(folder / "volume.mrc", volume)


class TestBigEndianWithAnExtendedHeader(SourceSuite):
    source = Mrc
    dtypes = ("uint16", "int16", "float16", "float32")

    def write(self, folder, volume):
        path = folder / "volume.map"
        with mrcfile.new(path, volume.astype(volume.dtype.newbyteorder(">"))) as file:
            file.set_extended_header(np.full(640, 7, "u1").view("V1"))
        assert path.read_bytes()[212:214] == b"\x11\x11"
        return path


class TestWithoutMapAndStamp(SourceSuite):
    source = Mrc
    dtypes = ("uint16", "float16", "float32")

    def write(self, folder, volume):
        path = folder / "volume.rec"
        mrcfile.new(path, volume).close()
        return restamped(path, bytes(4), bytes(4))


class TestBzip2(SourceSuite):
    source = Mrc
    dtypes = ("int16",)

    def write(self, folder, volume):
        path = folder / "volume.map.bz2"
        mrcfile.new(path, volume, compression="bzip2").close()
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


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        (3, r" \(complex int16\)"), (4, r" \(complex float32\)"), (16, r" \(colours of IMOD\)"),
        (101, r" \(4-bit integers\)"), (7, ""),
    ],
)  # fmt: skip
def test_a_mode_that_is_not_served(tmp_path, mode, name):
    path = write(tmp_path / "v.mrc", np.zeros((2, 2, 2), "i2"), mode=mode)
    with pytest.raises(SourceError, match=rf"v\.mrc: mode is {mode}{name}; allowed are 0 \(int8\)"):
        Mrc.open(str(path))


def restamped(path, stamp, map_word=b"MAP ", axes=True):
    """Overwrite the machine stamp, the word ``MAP``, and optionally the axes of a file."""
    data = bytearray(path.read_bytes())
    data[208:216] = map_word + bytes(stamp)
    if not axes:
        data[64:76] = bytes(12)
    path.write_bytes(data)
    return path


STAMPS = {
    "standard": (0x44, 0x44, 0, 0),
    "CCP4": (0x44, 0x41, 0, 0),
    "one byte": (0x44, 0, 0, 0),
    "spaces": (0x44, 0x20, 0x20, 0x20),
    "mixed": (0x44, 0x11, 0, 0),
    "zeros": (0, 0, 0, 0),
    "text": b"stmp",
    "the other order": (0x11, 0x11, 0, 0),
}


def stored(folder, order, dtype, packing=None):
    """Write a file in a byte order; return its path and its voxels."""
    volume = random_volume((3, 4, 5), dtype)
    path = folder / ("v.mrc" + {"gzip": ".gz", "bzip2": ".bz2", None: ""}[packing])
    mrcfile.new(folder / "plain", volume.astype(f"{order}{volume.dtype.str[1:]}")).close()
    if dtype == "int8" and order == ">":
        swap(folder / "plain")
    return folder / "plain", path, volume


PACKINGS = {None: bytes, "gzip": gzip.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "float16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", STAMPS)
def test_any_machine_stamp(tmp_path, caplog, name, order, dtype, packing):
    """A stamp that states no byte order, or that of others, does not decide it."""
    plain, path, volume = stored(tmp_path, order, dtype, packing)
    stamp = STAMPS[name] if order == "<" or name != "the other order" else STAMPS["standard"]
    path.write_bytes(PACKINGS[packing](restamped(plain, stamp).read_bytes()))
    with caplog.at_level("INFO", "bfly.sources.mrc"):
        source = Mrc.open(str(path))
    np.testing.assert_array_equal(whole(source), volume)
    is_usual = order == "<" and name in ("standard", "CCP4")
    assert ("by its mode and sizes it is" in caplog.text) == (
        not is_usual and not (order == ">" and stamp == (0x11, 0x11, 0, 0))
    )


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("axes", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_without_the_word_map(tmp_path, order, axes, packing):
    plain, path, volume = stored(tmp_path, order, "int16", packing)
    path.write_bytes(PACKINGS[packing](restamped(plain, bytes(4), bytes(4), axes).read_bytes()))
    found = Mrc.guess_can_open(str(path))
    # Without axes, only the size of the file tells it apart, which a compressed file hides.
    assert found is (axes or packing is None)
    if found:
        np.testing.assert_array_equal(whole(Mrc.open(str(path))), volume)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ATOM      1  N   MET A   1" * 100,
        bytes(5000),
        np.arange(2000, dtype="<i4").tobytes(),
        (np.arange(256, dtype="<i4") % 3 + 1).tobytes(),
        b"\1\0\0\0" * 1000,
    ],
)
def test_other_files_with_its_endings_are_passed_over(tmp_path, content):
    """`.st` and `.map` are also endings of other programs' files."""
    write(tmp_path / "v.ali", random_volume((3, 4, 5), "int16"))
    for name in ("text.st", "source.map", "a.rec", "a.map.gz"):
        (tmp_path / name).write_bytes(content)
    found = scan(str(tmp_path), Files())
    names = [name[-1] for name in Config(experiments=found.experiments).channels]
    assert names == ["v.ali"]
    assert len(found.skipped) == 4
    assert all("not an MRC file" in reason for _, reason in found.skipped)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_found(tmp_path, ending):
    volume = random_volume((3, 4, 5), "int16")
    packing = {"gz": "gzip", "bz2": "bzip2"}.get(ending.rpartition(".")[2])
    mrcfile.new(tmp_path / f"v.{ending}", volume, compression=packing).close()
    ((name, channel),) = Config(
        experiments=scan(str(tmp_path), Files()).experiments
    ).channels.items()
    assert name[-1] == f"v.{ending}"
    np.testing.assert_array_equal(whole(Mrc.open(channel.path)), volume)


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_volume_of_a_stack_is_a_part(tmp_path, packing):
    volumes = random_volume((12, 4, 5), "int16").reshape(4, 3, 4, 5)
    with mrcfile.new(tmp_path / "plain", volumes) as file:
        assert file.is_volume_stack()
        file.voxel_size = (20, 30, 40)
    path = tmp_path / "v.mrc"
    path.write_bytes(PACKINGS[packing]((tmp_path / "plain").read_bytes()))
    parts = Mrc.parts(str(path), Files())
    assert [str(part) for part in parts] == ["", "v=1", "v=2", "v=3"]
    for part, volume in zip(parts, volumes, strict=True):
        source = Mrc.open(str(path), part=part)
        np.testing.assert_array_equal(whole(source), volume)
        assert source.voxel_size == (4.0, 3.0, 2.0)


def test_a_stack_of_volumes_whose_header_contradicts_itself(tmp_path, caplog):
    volume = random_volume((5, 4, 3), "int16")
    path = str(write(tmp_path / "v.mrc", volume, ispg=401, mz=2))
    np.testing.assert_array_equal(whole(Mrc.open(path)), volume)
    assert "stack of volumes of 2 sections by its header, and has 5" in caplog.text
    with pytest.raises(SourceError, match="v is 1; allowed are 0 to 0"):
        Mrc.open(path, part=Part("", (("v", "1"),)))


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


@pytest.mark.parametrize(("gamma", "said"), [(90, False), (0, False), (120, True)])
def test_a_cell_that_is_not_rectangular_is_told(tmp_path, caplog, gamma, said):
    path = tmp_path / "v.map"
    with mrcfile.new(path, random_volume((3, 4, 5), "uint16")) as file:
        file.header.cellb = (90, 90, gamma)
    Mrc.open(str(path))
    assert ("not at right angles but at 90, 90 and 120 degrees" in caplog.text) is said


def test_axes_that_make_no_sense(tmp_path):
    path = write(tmp_path / "v.map", random_volume((3, 4, 5), "uint16"), mapc=2, mapr=2, maps=3)
    with pytest.raises(SourceError, match=r"maps, mapr, mapc are \[3, 2, 2\]; allowed are 1, 2, 3"):
        Mrc.open(str(path))


def test_a_header_that_makes_no_sense(tmp_path):
    volume = random_volume((3, 4, 5), "uint16")
    for field, value, reason in (
        ("mode", 99, "99"),
        ("nx", -5, "all have to be 1 or more"),
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
