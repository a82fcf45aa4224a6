"""LSM: sections with thumbnails between them, and channels in planes of samples."""

import struct

import numpy as np
import pytest
import tifffile

from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.sources.tiff.source import Tiff, has_sections
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

ZCYX, LINES, TIMES = 0, 2, 6


def info(shape, *, channels=1, times=1, scan=ZCYX, size=(4e-7, 1e-7, 2e-7)):
    """Return the tag CZ_LSMINFO of release 4.0."""
    z, y, x = shape
    data = bytearray(512)
    struct.pack_into("<Ii", data, 0, 0x0400494C, 512)
    struct.pack_into("<6i", data, 8, x, y, z, channels, times, 1)
    struct.pack_into("<2i", data, 32, 128, 128)
    struct.pack_into("<3d", data, 40, *size[::-1])
    struct.pack_into("<H", data, 88, scan)
    return bytes(data)


def write(path, volume, *, compression=None, photometric="minisblack", **stated):
    """Write a volume (t, z, c, y, x) as Zeiss does: a thumbnail follows each section."""
    times, depth, channels, height, width = volume.shape
    words = info((depth, height, width), channels=channels, times=times, **stated)
    tag = [(34412, "B", len(words), words, True)]
    more = {"compression": compression, "metadata": None, "contiguous": False}
    planar = {"planarconfig": "separate"} if channels > 1 else {}
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for number, section in enumerate(volume.reshape(-1, channels, height, width)):
            pixels = section if channels > 1 else section[0]
            extra = {"extratags": tag} if number == 0 else {}
            tiff.write(pixels, photometric=photometric, **planar, **more, **extra)
            thumbnail = np.full((8, 8, 3), 7, "u1")
            tiff.write(thumbnail, photometric="rgb", subfiletype=1, **more)
    return str(path)


class TestLsm(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        write(folder / "v.lsm", volume[None, :, None])
        return folder / "v.lsm"


def whole(source):
    return source.read(0, source.scales[0].box)


@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_each_channel_is_a_volume(tmp_path, compression, photometric):
    folder = tmp_path / "data"
    folder.mkdir()
    volume = random_volume((5 * 3, 20, 30), "uint8").reshape(1, 5, 3, 20, 30)
    path = write(folder / "v.lsm", volume, compression=compression, photometric=photometric)
    assert has_sections(path)
    for channel in range(3):
        source = Tiff.open(path, part=Part.parse(f"s={channel}"))
        np.testing.assert_array_equal(whole(source), volume[0, :, channel])
        assert source.kind_source.startswith("voxels")
    found = scan(str(folder), Files())
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert [channel.name for channel in dataset.channels] == ["v.lsm-s0", "v.lsm-s1", "v.lsm-s2"]
    with pytest.raises(SourceError, match="each of its pixels has 3 grey samples: name one"):
        Tiff.open(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("side", [30, 800])
def test_two_channels_have_their_bits_in_the_tag_or_elsewhere(tmp_path, dtype, is_old, side):
    """A long file has voxels where the bits in the tag would lead, as an offset."""
    volume = random_volume((3 * 2, 20, 30), dtype).reshape(1, 3, 2, 20, 30)
    volume = np.tile(volume, (1, 1, 1, side // 20, side // 30))
    path = write(tmp_path / "v.lsm", volume)
    if is_old:
        with open(path, "r+b") as file:
            data = file.read()
            bits = struct.pack("<HH", *[8 * volume.dtype.itemsize] * 2)
            entry = struct.pack("<HHI", 258, 3, 2)
            at = data.find(entry)
            while at >= 0:
                file.seek(at + len(entry))
                file.write(struct.pack("<I", len(data)))
                at = data.find(entry, at + 1)
            file.seek(0, 2)
            file.write(bits)
    for channel in range(2):
        source = Tiff.open(path, part=Part.parse(f"s={channel}"))
        np.testing.assert_array_equal(whole(source), volume[0, :, channel])


def test_times_are_volumes(tmp_path):
    volume = random_volume((2 * 5, 20, 30), "uint16").reshape(2, 5, 1, 20, 30)
    path = write(tmp_path / "v.lsm", volume, scan=TIMES)
    np.testing.assert_array_equal(whole(Tiff.open(path)), volume[0, :, 0])
    later = Tiff.open(path, part=Part.parse("t=1"))
    np.testing.assert_array_equal(whole(later), volume[1, :, 0])


def test_the_voxel_size_is_that_of_its_tag(tmp_path):
    volume = random_volume((5, 20, 30), "uint8")[None, :, None]
    source = Tiff.open(write(tmp_path / "v.lsm", volume))
    assert source.voxel_size == pytest.approx((400, 100, 200))
    assert source.voxel_size_source == "file: LSM VoxelSize"


def test_lines_are_refused_in_words(tmp_path):
    volume = random_volume((5, 20, 30), "uint8")[None, :, None]
    path = write(tmp_path / "v.lsm", volume, scan=LINES)
    with pytest.raises(SourceError, match=r"v\.lsm"):
        Tiff.open(path)


def test_pages_that_are_not_what_the_tag_states_are_refused(tmp_path):
    volume = random_volume((5, 20, 30), "uint8")[None, :, None]
    path = tmp_path / "v.lsm"
    write(path, volume)
    for at, value in ((16, 9), (20, 4)):
        data = bytearray(path.read_bytes())
        place = data.index(struct.pack("<Ii", 0x0400494C, 512)) + at
        struct.pack_into("<i", data, place, value)
        other = tmp_path / f"{at}.lsm"
        other.write_bytes(data)
        with pytest.raises(SourceError, match=r"\.lsm"):
            Tiff.open(str(other))
