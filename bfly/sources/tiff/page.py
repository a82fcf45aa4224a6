"""One page of a TIFF: the positions of its strips or tiles, and how they are decoded.

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
from bfly.sources.shared.images import naming, one_value
from bfly.sources.shared.tiff_pages import check_packed, count_grey, is_written, samples_of
from bfly.storage.files import read_exactly
from bfly.storage.limits import check_length

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Packing", "Page", "Place"]

JPEGS = {
    tifffile.COMPRESSION.OJPEG,
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.ALT_JPEG,
    tifffile.COMPRESSION.JPEG_LOSSY,
}


class Place(NamedTuple):
    """An open file, its name in messages, and the most bytes that a strip or tile may take."""

    fd: int
    path: str
    limit: int


@dataclass(frozen=True)
class Packing:
    """How pages are stored, which most pages of a file have in common.

    Parameters
    ----------
    key : tifffile.TiffPage
        Page that describes how all of them are stored.
    decode : callable
        tifffile's decoder of a strip or tile.
    chunk : tuple of int
        Shape of a strip or tile (z, y, x), in voxels.
    dtype : numpy.dtype
        As served (see `served_dtype`).
    sample : int
        Index of the grey sample to serve.
    labels : bool
        Whether RGB is an id.
    """

    key: tifffile.TiffPage
    decode: Callable[..., tuple[Voxels | None, tuple[int, ...], tuple[int, ...]]]
    chunk: Zyx
    dtype: np.dtype[Any]
    sample: int
    labels: bool

    @classmethod
    def of(cls, key: tifffile.TiffPage, path: str, sample: int, *, labels: bool) -> Packing:
        """Return the packing of a page and those like it.

        Raises
        ------
        SourceError, ValueError
            Its voxels cannot be served.
        """
        if key.jpegheader is not None:
            raise SourceError(f"{path} has strips that are parts of one JPEG; allowed are tiles.")
        if key.is_tiled:
            chunk = key.tiledepth, key.tilelength, key.tilewidth
        else:
            chunk = 1, min(key.rowsperstrip, key.imagelength), key.imagewidth
        pixel = samples_of(key, np.zeros((1, 1, 1, key.samplesperpixel), key.dtype), sample)
        dtype = one_value(pixel, path, labels=labels).dtype
        return cls(key, key.decode, chunk, dtype, sample, labels)

    def counts(self) -> tuple[int, Zyx]:
        """Return the number of planes of samples, and of strips or tiles in each (z, y, x)."""
        planes, *shape = self.key.shaped[:4]
        counts = zyx(math.ceil(n / c) for n, c in zip(shape, self.chunk, strict=True))
        return planes, counts


class Page(NamedTuple):
    """Positions of a page's strips or tiles, in the file's order, and JPEG's common tables."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    tables: bytes | None
    packing: Packing

    @classmethod
    def of(cls, page: tifffile.TiffPage | tifffile.TiffFrame, packing: Packing) -> Page:
        """Return a page of tifffile, or one of which it read only the positions."""
        offsets, sizes = tuple(page.dataoffsets), tuple(page.databytecounts)
        if page.is_frame and 0 in offsets:
            # tifffile gives frames the sizes of the page that describes them.
            sizes = tuple(n if at else 0 for at, n in zip(offsets, sizes, strict=False))
        return cls(offsets, sizes, page.jpegtables, packing)

    @property
    def is_sparse(self) -> bool:
        """Whether strips or tiles were never written."""
        return 0 in self.offsets

    @property
    def touches(self) -> bool:
        """Whether the strips of the page follow each other without gaps."""
        ends = [at + size for at, size in zip(self.offsets, self.sizes, strict=True)]
        return all(end == at for end, at in zip(ends, self.offsets[1:], strict=False))

    def read_into(self, place: Place, box: BoundingBox, voxels: Voxels) -> None:
        """Read a non-empty box of the page.

        Parameters
        ----------
        place : Place
            The open file.
        box : BoundingBox
            In voxels of the page; z is 0 unless it is volumetric.
        voxels : numpy.ndarray
            Output, of the shape ``box.shape``.

        Raises
        ------
        SourceError
            A strip or tile is damaged or missing, or the disk fails.
        """
        voxels[...] = 0
        for position in indexes(box.in_tiles(self.packing.chunk)):
            segment = self._segment(place, position)
            if segment is None:
                continue
            start = zyx(p * c for p, c in zip(position, self.packing.chunk, strict=True))
            part = BoundingBox.of_shape(zyx(segment.shape), start) & box
            voxels[part.relative_to(box.start).slices] = segment[part.relative_to(start).slices]

    def _segment(self, place: Place, position: Zyx) -> Voxels | None:
        """Read a strip or tile, (z, y, x); return None if it was never written."""
        z, y, x = position
        packing = self.packing
        planes, (depth, rows, columns) = packing.counts()
        count = depth * rows * columns
        if len(self.offsets) < planes * count or len(self.sizes) < planes * count:
            raise SourceError(f"{place.path} is truncated: a page lacks strips or tiles.")
        number = (z * rows + y) * columns + x
        is_grey = planes > 1 and count_grey(packing.key) > 1
        which = [packing.sample] if is_grey else range(planes)
        decoded = [self._decoded(place, plane * count + number) for plane in which]
        there = [voxels for voxels in decoded if voxels is not None]
        if not there:
            return None
        stored = there[0]
        if len(decoded) > 1:
            # A plane that was never written is 0; the others are not.
            planes_of = [np.zeros_like(stored) if one is None else one for one in decoded]
            stored = np.concatenate(planes_of, axis=-1)
        with naming(place.path):
            samples = samples_of(packing.key, stored, 0 if is_grey else packing.sample)
            return one_value(samples, place.path, labels=packing.labels)

    def _decoded(self, place: Place, number: int) -> Voxels | None:
        """Decode a strip or tile as (depth, height, width, samples)."""
        at, size = self.offsets[number], self.sizes[number]
        with naming(place.path):
            if not is_written(at, size, number):
                return None
        what = f"{place.path}, strip or tile {number} at byte {at},"
        check_length(what, size, place.limit)
        data = read_exactly(place.fd, size, at, place.path)
        key = self.packing.key
        # tifffile decodes the rest of a damaged strip, but fails to give it the strip's shape.
        with naming(what):
            check_packed(key, data, what, place.limit)
            tables = {"jpegtables": self.tables} if key.compression in JPEGS else {}
            return self.packing.decode(data, number, **tables)[0]
