"""One level of a TIFF volume: the position of its voxels, and how they are decoded.

tifffile reads the structure of the file, once. After that, the bytes of each strip and tile are
read with ``pread`` and decoded without any lock, in any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tifffile

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.images import naming, one_value
from bfly.sources.shared.tiff_pages import (
    check_packed,
    check_page,
    is_palette,
    is_written,
    samples_of,
)
from bfly.sources.tiff.axes import Volume, volume_of
from bfly.storage.files import read_exactly
from bfly.storage.limits import check_length
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Paged", "level_of"]


class _TiffPage(NamedTuple):
    """Positions of a page's strips or tiles, in the file's order, and JPEG's common tables."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    tables: bytes | None


def level_of(
    series: tifffile.TiffPageSeries, path: str, limit: int, *, labels: bool, part: Part = WHOLE
) -> Flat | Paged:
    """Return the level that reads the pages of a volume.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The pages, of one shape and dtype.
    path : str
        Name of the file in messages.
    limit : int
        Bytes that a strip or tile may take, compressed or not.
    labels : bool
        Whether RGB is an id (see `bfly.sources.shared.images`).
    part : Part
        The volume, if the pages hold several.

    Raises
    ------
    SourceError, ValueError
        The pages are not a volume, or of a kind that cannot be read.
    """
    volume = volume_of(series, path, part)
    pages = [series.pages[number] for number in volume.pages if number < len(series.pages)]
    if any(page is None for page in pages):
        raise SourceError(f"{path} is a part of an OME-TIFF whose other sections are elsewhere.")
    key = series.keyframe
    check_page(key, path, limit)
    shape = _shape(volume, key, path)
    listed = [_TiffPage(tuple(p.dataoffsets), tuple(p.databytecounts), p.jpegtables) for p in pages]
    if key.is_final and key.samplesperpixel == 1 and not is_palette(key):
        stored = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
        if series.dataoffset:
            # ImageJ lists one page of a file above 4 GiB.
            return Flat.in_array(path, volume.shape, volume.axes, stored, series.dataoffset)
        if key.imagedepth == 1 and len(listed) == shape[0] and all(map(_touching, listed)):
            return Flat(path, shape, stored, sections=tuple(page.offsets[0] for page in listed))
    return Paged.make(path, listed, key, shape, limit, labels=labels)


def _shape(volume: Volume, key: tifffile.TiffPage, path: str) -> Zyx:
    """Return the shape of a volume; raise if its pages have another one."""
    z, y, x = [1, *(volume.shape[axis] for axis in volume.axes.zyx)][-3:]
    height, width = key.imagelength, key.imagewidth
    if (y, x) != (height, width):
        raise SourceError(f"{path} is said to be {y} x {x}, its pages are {height} x {width}.")
    return z, y, x


def _touching(page: _TiffPage) -> bool:
    """Return whether the strips of a page were written and follow each other without gaps."""
    ends = [at + size for at, size in zip(page.offsets, page.sizes, strict=True)]
    touching = all(end == at for end, at in zip(ends, page.offsets[1:], strict=False))
    return touching and page.offsets[0] > 0


@dataclass(frozen=True)
class Paged:
    """Sections in strips or tiles, compressed or with several samples per pixel.

    Parameters
    ----------
    path : str
        Name of the file in messages.
    pages : list of _TiffPage
        One for each section, or one for all sections of a volumetric page.
    key : tifffile.TiffPage
        Page that describes how all of them are stored.
    decode : callable
        tifffile's decoder of a strip or tile.
    shape, chunk : tuple of int
        Shapes of the level, and of a strip or tile (z, y, x), in voxels.
    dtype : numpy.dtype
        As served (see `served_dtype`).
    labels : bool
        Whether RGB is an id.
    limit : int
        Bytes that a strip or tile may take, compressed or not.
    """

    path: str
    pages: list[_TiffPage]
    key: tifffile.TiffPage
    decode: Callable[..., tuple[Voxels | None, tuple[int, ...], tuple[int, ...]]]
    shape: Zyx
    chunk: Zyx
    dtype: np.dtype[Any]
    labels: bool
    limit: int

    @classmethod
    def make(
        cls,
        path: str,
        pages: list[_TiffPage],
        key: tifffile.TiffPage,
        shape: Zyx,
        limit: int,
        *,
        labels: bool,
    ) -> Paged:
        """Create a level from its pages, with all else from the first page."""
        if len(pages) * key.imagedepth != shape[0] or (key.imagedepth > 1 and len(pages) > 1):
            raise SourceError(
                f"{path} has {len(pages)} pages of {key.imagedepth} sections for "
                f"{shape[0]} sections; allowed is one page a section, or one page with all."
            )
        if key.jpegheader is not None:
            raise SourceError(f"{path} has strips that are parts of one JPEG; allowed are tiles.")
        if key.is_tiled:
            chunk = key.tiledepth, key.tilelength, key.tilewidth
        else:
            chunk = 1, min(key.rowsperstrip, key.imagelength), key.imagewidth
        pixel = samples_of(key, np.zeros((1, 1, 1, key.samplesperpixel), key.dtype))
        dtype = one_value(pixel, path, labels=labels).dtype
        return cls(path, pages, key, key.decode, shape, chunk, dtype, labels, limit)

    @property
    def is_written(self) -> bool:
        """Whether any strip or tile was written."""
        return any(any(page.offsets) or any(page.sizes) for page in self.pages)

    def read_into(self, fd: int, box: BoundingBox, voxels: Voxels) -> None:
        """Read a non-empty box inside the level; as `Flat.read_into`.

        A strip or tile that was never written is 0.

        Raises
        ------
        SourceError
            A strip or tile is damaged or missing, or the disk fails.
        """
        voxels[...] = 0
        for position in indexes(box.in_tiles(self.chunk)):
            segment = self._segment(fd, position)
            if segment is None:
                continue
            start = zyx(p * c for p, c in zip(position, self.chunk, strict=True))
            part = BoundingBox.of_shape(zyx(segment.shape), start) & box
            voxels[part.relative_to(box.start).slices] = segment[part.relative_to(start).slices]

    def _segment(self, fd: int, position: Zyx) -> Voxels | None:
        """Read a strip or tile, (z, y, x); return None if it was never written."""
        z, y, x = position
        page = self.pages[z if self.key.imagedepth == 1 else 0]
        if self.key.imagedepth == 1:
            z = 0
        planes, (depth, rows, columns) = self._counts()
        count = depth * rows * columns
        if len(page.offsets) < planes * count or len(page.sizes) < planes * count:
            raise SourceError(f"{self.path} is truncated: a page lacks strips or tiles.")
        number = (z * rows + y) * columns + x
        decoded = [self._decoded(fd, page, plane * count + number) for plane in range(planes)]
        there = [voxels for voxels in decoded if voxels is not None]
        if len(there) < planes:
            return None
        stored = np.concatenate(there, axis=-1) if planes > 1 else there[0]
        with naming(self.path):
            return one_value(samples_of(self.key, stored), self.path, labels=self.labels)

    def _counts(self) -> tuple[int, Zyx]:
        """Return the number of planes of samples, and of strips or tiles in each (z, y, x)."""
        planes, *shape = self.key.shaped[:4]
        counts = zyx(math.ceil(n / c) for n, c in zip(shape, self.chunk, strict=True))
        return planes, counts

    def _decoded(self, fd: int, page: _TiffPage, number: int) -> Voxels | None:
        """Decode a strip or tile as (depth, height, width, samples)."""
        at, size = page.offsets[number], page.sizes[number]
        with naming(self.path):
            if not is_written(at, size, number):
                return None
        what = f"{self.path}, strip or tile {number} at byte {at},"
        check_length(what, size, self.limit)
        data = read_exactly(fd, size, at, self.path)
        # tifffile decodes the rest of a damaged strip, but fails to give it the strip's shape.
        with naming(what):
            check_packed(self.key, data, what, self.limit)
            tables = {"jpegtables": page.tables} if self.key.compression in JPEGS else {}
            return self.decode(data, number, **tables)[0]


JPEGS = {
    tifffile.COMPRESSION.OJPEG,
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.ALT_JPEG,
    tifffile.COMPRESSION.JPEG_LOSSY,
}
