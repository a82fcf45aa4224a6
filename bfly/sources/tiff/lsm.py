"""LSM, the TIFF of Zeiss: its axes and voxel size are in the tag CZ_LSMINFO.

Each section is followed by a thumbnail. The channels of a section are samples of its pixels, one
plane for each, whatever colours the tags state (Zeiss, LSM 5 image file format, release 4.0).
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, cast

import tifffile

from bfly.sources.shared.units import sizes
from bfly.storage.limits import PAGES

if TYPE_CHECKING:
    from bfly.sources.mips import VoxelSize

__all__ = ["lsm_volume", "lsm_voxel_size", "with_inline_bits"]

BITS, INFO = 258, 34412
"""Tags BitsPerSample and CZ_LSMINFO."""

METRE = 1e9
"""Nanometres."""

CHANNELS, SAMPLES = "C", "S"
"""tifffile's letters of axes."""


def with_inline_bits(file: IO[bytes]) -> IO[bytes]:
    """Return a file from which tifffile reads an LSM of two channels that keeps to TIFF.

    Old programs stored the offset of the two BitsPerSample, though both fit into the tag. tifffile
    takes them for an offset always, and reads 4 bytes there.

    Raises
    ------
    ValueError
        A directory is where tifffile would read the two values.
    """
    if file.read(4) != b"II*\0":
        return file
    (at,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
    entries, _ = _directory(file, at)
    bits = entries.get(BITS)
    if INFO not in entries or bits is None or bits[1] != 2:
        return file
    value = struct.pack("<I", bits[2])
    first, second = struct.unpack("<HH", value)
    if first != second or first not in (8, 12, 16, 32):
        return file
    seen: set[int] = set()
    while at and at not in seen and len(seen) <= PAGES:
        seen.add(at)
        _, end = _directory(file, at)
        if end == bits[2]:
            raise ValueError("it is an LSM of two channels with a directory at a place of its bits")
        file.seek(end)
        (at,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
    return cast("IO[bytes]", _Inline(file, bits[2], value))


def _directory(file: IO[bytes], at: int) -> tuple[dict[int, tuple[int, int, int]], int]:
    """Return type, count and value of each tag of a directory, and where the entries end."""
    file.seek(at)
    (count,) = struct.unpack("<H", file.read(2).ljust(2, b"\0"))
    data = file.read(12 * count)
    entries = struct.iter_unpack("<HHII", data[: len(data) // 12 * 12])
    return {
        code: (kind, number, value) for code, kind, number, value in entries
    }, at + 2 + 12 * count


class _Inline:
    """A file with 4 other bytes where tifffile reads two values that are stored elsewhere."""

    def __init__(self, file: IO[bytes], at: int, value: bytes) -> None:
        self._file, self._at, self._value = file, at, value
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1, /) -> bytes:
        """Read as the file does; all 4 bytes at the place of the values are those."""
        if size == len(self._value) and self.tell() == self._at:
            self.seek(self._at + size)
            return self._value
        return self._file.read(size)


def lsm_volume(first: tifffile.TiffPageSeries) -> tifffile.TiffPageSeries:
    """Return the volume of an LSM file, the axis of channels as that of grey samples.

    Parameters
    ----------
    first : tifffile.TiffPageSeries
        The first image; others are thumbnails.

    Raises
    ------
    ValueError
        The sections are not planes of y and x, or have other samples than channels.
    """
    axes, shape, key = first.get_axes(False), first.get_shape(False), first.keyframe
    if not {"Y", "X"} <= {*axes}:
        raise ValueError(f"it is an LSM of lines, with the axes {axes}; allowed are sections")
    grey = tifffile.PHOTOMETRIC.MINISBLACK
    for page in {id(p.keyframe): p.keyframe for p in first.pages if p is not None}.values():
        # A palette, or RGB, is the way in which the microscope shows the channels.
        page.photometric, page.extrasamples = grey, ()
    if key.samplesperpixel != dict(zip(axes, shape, strict=True)).get(CHANNELS, 1):
        raise ValueError(
            f"it states {shape} voxels along {axes}; its pixels have {key.samplesperpixel} "
            "samples, of which each is a channel"
        )
    named = axes.replace(CHANNELS, SAMPLES)
    return tifffile.TiffPageSeries(
        first.pages, shape, first.dtype, named, kind="lsm", squeeze=False
    )


def lsm_voxel_size(tiff: tifffile.TiffFile) -> tuple[VoxelSize, str] | None:
    """Return nanometres (z, y, x), and the field that states them; None if it does not."""
    info = tiff.lsm_metadata or {}
    found = sizes([float(info.get(f"VoxelSize{axis}", 0)) for axis in "ZYX"], METRE)
    return (found, "LSM VoxelSize") if found else None
