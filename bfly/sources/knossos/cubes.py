"""Files of cubes: voxels as they are, images, or labels compressed by Snappy.

What KNOSSOS reads: ``loader.cpp`` of https://github.com/knossos-project/knossos. The voxels of a
cube are in C order of z, y and x; an image has as many pixels, whatever its width. Compressed
labels have 64 bits; ``.seg.sz.zip`` is an archive with one entry.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from bfly.errors import SourceError
from bfly.geometry import copy_rows
from bfly.sources.shared.images import decode, naming, one_value
from bfly.storage.files import read_into
from bfly.storage.limits import check_length

if TYPE_CHECKING:
    from bfly.geometry import BoundingBox, Zyx
    from bfly.sources.shared.contiguous import Flat

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["FLAT", "IMAGES", "check_known", "decoded", "is_known", "is_overlay", "read_flat"]

FLAT = (".raw", ".seg")
"""Endings of cubes that are not compressed."""

IMAGES = (".png", ".jpg", ".jpeg")

_WAVELETS = re.compile(r"(\.\d+)?\.(jp2|j2k)")
"""Endings of JPEG 2000."""

SIZ = b"\xff\x4f\xff\x51"
"""Markers at the start of a JPEG 2000 code stream (ISO/IEC 15444-1, A.5.1)."""

SECTIONS = 8 << 20
"""Bytes of the sections of a cube that are read at once: that takes less time than many reads."""

DIRECTORY = 1 << 16
"""Bytes of the directory of an archive, which has one entry."""


def is_overlay(ending: str) -> bool:
    """Return whether cubes with an ending hold labels."""
    return ending.startswith(".seg")


def is_known(ending: str) -> bool:
    """Return whether cubes with an ending can be decoded."""
    packed = (".seg.sz", ".seg.sz.zip")
    return ending in (*FLAT, *IMAGES, *packed) or _WAVELETS.fullmatch(ending) is not None


def decoded(data: bytes, path: str, ending: str, shape: Zyx, dtype: np.dtype[Any]) -> Voxels:
    """Return the voxels of a cube.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        Name of the file in messages.
    ending : str
        A known one (`is_known`).
    shape : tuple of int
        Of a cube (z, y, x).
    dtype : numpy.dtype
        Of the voxels, as stored; an image states its own.

    Returns
    -------
    numpy.ndarray
        Of that shape.

    Raises
    ------
    SourceError
        The file is damaged, or has another number of voxels.
    """
    count = math.prod(shape)
    with naming(path):
        if ending in IMAGES:
            # Colours have three values.
            limit = 3 * count * max(2, dtype.itemsize)
            return _whole(decode(data, path, labels=False, limit=limit), shape, path)
        if _WAVELETS.fullmatch(ending):
            return _whole(_wavelets(data, path, count), shape, path)
        nbytes = count * dtype.itemsize
        if ending.endswith(".zip"):
            data = _unzipped(data, path, nbytes + nbytes // 6 + 32)
        if ".sz" in ending:
            data = _unsnapped(data, nbytes)
        if len(data) != nbytes:
            raise ValueError(f"it has {len(data)} bytes; a cube has {nbytes}")
        return np.frombuffer(data, dtype).reshape(shape)


def _whole(pixels: Voxels, shape: Zyx, path: str) -> Voxels:
    """Return the pixels of an image as a cube."""
    if pixels.size != math.prod(shape):
        sides = " x ".join(map(str, pixels.shape[-2:]))
        raise ValueError(f"it is an image of {sides} pixels; a cube has {math.prod(shape)}")
    return pixels.reshape(shape)


def _wavelets(data: bytes, path: str, count: int) -> Voxels:
    """Decode a JPEG 2000, whose size is checked before."""
    at = data.find(SIZ)
    if at < 0:
        raise ValueError("it has no code stream of JPEG 2000")
    width, height, left, top = struct.unpack_from(">4I", data, at + 8)
    (samples,) = struct.unpack_from(">H", data, at + 40)
    if (width - left) * (height - top) != count or samples > 4:
        raise ValueError(
            f"it is an image of {height - top} x {width - left} pixels of {samples} values; a cube "
            f"has {count}"
        )
    pixels: Voxels = imagecodecs.jpeg2k_decode(data)
    colours = pixels[np.newaxis] if pixels.ndim == 3 else pixels[np.newaxis, ..., np.newaxis]
    return one_value(colours[..., : 3 if colours.shape[3] > 2 else 1], path, labels=False)


def _unzipped(data: bytes, path: str, most: int) -> bytes:
    """Return the one entry of an archive."""
    at = data.rfind(b"PK\5\6")
    if at < 0:
        raise ValueError("it is no whole zip archive")
    (length,) = struct.unpack_from("<I", data, at + 12)
    check_length(f"{path}: the directory of its entries", length, DIRECTORY)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) != 1 or entries[0].compress_type not in _METHODS:
            raise ValueError("it has not one entry that is stored or deflated")
        check_length(f"{path}: its entry", entries[0].file_size, most)
        return archive.read(entries[0])


_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _unsnapped(data: bytes, nbytes: int) -> bytes:
    """Decompress a block of Snappy, which states its length in 7-bit groups, the lowest first."""
    stated = 0
    for place, byte in enumerate(data[:5]):
        stated |= (byte & 127) << 7 * place
        if byte < 128:
            break
    if stated != nbytes:
        raise ValueError(f"it unpacks to {stated} bytes; a cube has {nbytes}")
    return bytes(imagecodecs.snappy_decode(data))


def check_known(ending: str, where: str) -> None:
    """Raise `SourceError` for an ending of cubes that are not read."""
    if not is_known(ending):
        known = ", ".join((*FLAT, *IMAGES, ".j2k", ".jp2", ".seg.sz", ".seg.sz.zip"))
        raise SourceError(f"{where}: its FileExtension is {ending}; allowed are {known}.")


def read_flat(fd: int, size: int, flat: Flat, box: BoundingBox, voxels: Voxels) -> None:
    """Read a part of a cube that is not compressed.

    Whole sections are read at once, unless they take too much memory.

    Parameters
    ----------
    fd, size : int
        The open file, and its bytes.
    flat : Flat
        The cube.
    box : BoundingBox
        Its voxels that are read.
    voxels : numpy.ndarray
        Shape of the box, zyx; it is overwritten.

    Raises
    ------
    SourceError
        The file is not as long as a cube.
    """
    if size != flat.end:
        raise SourceError(f"{flat.path} has {size} bytes; a cube has {flat.end}.")
    (first, *_), (last, *_) = box.start, box.stop
    shape = last - first, *flat.shape[1:]
    section = math.prod(flat.shape[1:]) * flat.stored.itemsize
    if shape[0] * section > SECTIONS:
        flat.read_into(fd, box, voxels)
        return
    sections = np.empty(shape, flat.stored)
    read_into(fd, sections.reshape(-1).view(np.uint8).data, first * section, flat.path)
    copy_rows(sections[:, *box.slices[1:]], voxels)
