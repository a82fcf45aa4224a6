"""One level of a TIFF volume: its pages, in place or decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.tiff_pages import (
    check_page,
    count_grey,
    is_palette,
    sample_of,
    without_sample,
)
from bfly.sources.tiff.axes import Volume, volume_of
from bfly.sources.tiff.page import Packing, Page, Place
from bfly.sources.voxel_types import is_converted
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from typing import Any

    import tifffile

    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Paged", "level_of"]


def level_of(
    series: tifffile.TiffPageSeries, path: str, limit: int, *, labels: bool, part: Part = WHOLE
) -> Flat | Paged:
    """Return the level that reads the pages of a volume.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The pages, of one shape and dtype; they may be packed in different ways.
    path : str
        Name of the file in messages.
    limit : int
        Bytes that a strip or tile may take, compressed or not.
    labels : bool
        Whether RGB is an id (see `bfly.sources.shared.images`).
    part : Part
        The volume, if the pages hold several; ``s`` is one of several grey samples of a pixel, and
        ``z=s`` takes those of a single page as sections.

    Raises
    ------
    SourceError, ValueError
        The pages are not a volume, or of a kind that cannot be read.
    """
    key = series.keyframe
    rest, place = without_sample(part)
    are_sections = part.of_axis("z") == "s"
    volume = volume_of(series, path, rest)
    # A series creates the pages that it only counts anew each time.
    numbered = [series.pages[number] for number in volume.pages if number < len(series.pages)]
    if any(page is None for page in numbered):
        raise SourceError(f"{path} is a part of an OME-TIFF whose other sections are elsewhere.")
    if 0 in key.dataoffsets:
        # tifffile gives the others the sizes of the first one, which was never written.
        numbered = [page.aspage() if _is_read_in_part(page) else page for page in numbered]
    keys = {id(page.keyframe): page.keyframe for page in numbered}
    for each in keys.values():
        check_page(each, path, limit)
    shape = _shape(volume, key, path)
    if are_sections:
        return _samples(numbered[0], path, shape, limit, labels=labels)
    sample = sample_of(key, place, path)
    # In a file that packs its pages in several ways, each page describes itself.
    shared = {_way(each): each for each in keys.values()}
    packings = {way: Packing.of(each, path, sample, labels=labels) for way, each in shared.items()}
    ways = {name: packings[_way(each)] for name, each in keys.items()}
    pages = [Page.of(page, ways[id(page.keyframe)]) for page in numbered]
    if not any(page.is_sparse for page in pages) and all(map(_is_flat, keys.values())):
        stored = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
        if series.dataoffset:
            # ImageJ lists one page of a file above 4 GiB.
            return Flat.in_array(path, volume.shape, volume.axes, stored, series.dataoffset)
        if key.imagedepth == 1 and len(pages) == shape[0] and all(page.touches for page in pages):
            return Flat(path, shape, stored, sections=tuple(page.offsets[0] for page in pages))
    if len(pages) * key.imagedepth != shape[0] or (key.imagedepth > 1 and len(pages) > 1):
        raise SourceError(
            f"{path} has {len(pages)} pages of {key.imagedepth} sections for {shape[0]} sections; "
            "allowed is one page a section, or one page with all."
        )
    return Paged(path, pages, shape, limit)


def _samples(page: tifffile.TiffPage, path: str, shape: Zyx, limit: int, *, labels: bool) -> Paged:
    """Return a level of which the sections are the grey samples of one page's pixels."""
    count = count_grey(page.keyframe)
    if shape[0] != 1 or count == 1:
        raise SourceError(
            f"{path} has {shape[0]} sections of {count} grey samples; for z=s, allowed is one "
            "section of several samples."
        )
    packings = [Packing.of(page.keyframe, path, at, labels=labels) for at in range(count)]
    return Paged(path, [Page.of(page, each) for each in packings], (count, *shape[1:]), limit)


def _is_read_in_part(page: tifffile.TiffPage | tifffile.TiffFrame) -> bool:
    return bool(page.is_frame and not page.is_virtual)


def _way(key: tifffile.TiffPage) -> tuple[int, bytes]:
    """Return what tells apart the ways in which pages are packed."""
    return key.hash, key.colormap.tobytes() if is_palette(key) else b""


def _is_flat(key: tifffile.TiffPage) -> bool:
    """Return whether the voxels of pages are those of the file, in its byte order."""
    return bool(key.is_final and key.samplesperpixel == 1 and not is_palette(key))


def _shape(volume: Volume, key: tifffile.TiffPage, path: str) -> Zyx:
    """Return the shape of a volume; raise if its pages have another one."""
    z, y, x = [1, *(volume.shape[axis] for axis in volume.axes.zyx)][-3:]
    height, width = key.imagelength, key.imagewidth
    if (y, x) != (height, width):
        raise SourceError(f"{path} is said to be {y} x {x}, its pages are {height} x {width}.")
    return z, y, x


@dataclass(frozen=True)
class Paged:
    """Sections in strips or tiles, compressed or with several samples per pixel.

    Parameters
    ----------
    path : str
        Name of the file in messages.
    pages : list of Page
        One for each section, or one for all sections of a volumetric page.
    shape : tuple of int
        Shape of the level (z, y, x), in voxels.
    limit : int
        Bytes that a strip or tile may take, compressed or not.
    """

    path: str
    pages: list[Page]
    shape: Zyx
    limit: int

    @property
    def chunk(self) -> Zyx:
        """Shape of a strip or tile of the first section (z, y, x), in voxels."""
        return self.pages[0].packing.chunk

    @property
    def dtype(self) -> np.dtype[Any]:
        """As served (see `served_dtype`)."""
        return self.pages[0].packing.dtype

    @property
    def stored(self) -> np.dtype[Any]:
        """As stored, or as served where colours are converted."""
        stored = np.dtype(self.pages[0].packing.key.dtype)
        return stored if is_converted(stored) else self.dtype

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
        depth = self.shape[0] // len(self.pages)
        first, last = box.start[0] // depth, (box.stop[0] - 1) // depth
        for number in range(first, last + 1):
            place = BoundingBox.of_shape((depth, *self.shape[1:]), (number * depth, 0, 0))
            part = place & box
            self.pages[number].read_into(
                Place(fd, self.path, self.limit),
                part.relative_to(place.start),
                voxels[part.relative_to(box.start).slices],
            )
