"""Structure of a TIFF file: its images, which of them is the volume, and what a scan asks of it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import IO, TYPE_CHECKING, NamedTuple

import tifffile

from bfly.errors import SourceError
from bfly.sources.shared.tiff_pages import check_chain, count_grey
from bfly.sources.tiff.axes import lengths_of, sections_of, volume_of
from bfly.sources.tiff.lsm import with_inline_bits
from bfly.sources.tiff.sections import PagesDiffer, images_of
from bfly.sources.tiff.voxel_size import check_description
from bfly.storage.files import regular
from bfly.storage.limits import in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.storage.files import Stamp

__all__ = ["FirstImage", "first_image", "pyramid_of", "structure"]

REMEMBERED = 4096
"""Files whose first image is remembered during a scan."""

ALIKE = ("dtype", "photometric", "samplesperpixel")
"""Properties that the pages of all levels of a pyramid have in common."""


@contextmanager
def structure(
    file: IO[bytes], path: str
) -> Iterator[tuple[tifffile.TiffFile, list[tifffile.TiffPageSeries]]]:
    """Open the structure of a file, after checks that it is whole and not too large.

    Yields
    ------
    tuple
        The open file, and its images, the volume first (see `images_of`).
    """
    whole = with_inline_bits(file)
    whole.seek(0)
    # References of an OME-TIFF to other files are not followed.
    with tifffile.TiffFile(in_pieces(whole, path), _multifile=False) as tiff:
        layouts = check_chain(tiff, path)
        check_description(tiff, path)
        images = images_of(tiff, layouts)
        if not images:
            raise SourceError(f"{path} has no image.")
        yield tiff, images


def pyramid_of(images: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the first image and those that may be coarser levels of it: alike, and smaller."""
    first, *others = images
    page = first.keyframe

    def is_like(other: tifffile.TiffPage) -> bool:
        smaller = other.imagelength < page.imagelength and other.imagewidth < page.imagewidth
        alike = all(getattr(other, name) == getattr(page, name) for name in ALIKE)
        return smaller and alike

    volumes = lengths_of(first)
    similar = (other for other in others if is_like(other.keyframe))
    return [*first.levels, *(other for other in similar if lengths_of(other) == volumes)]


class FirstImage(NamedTuple):
    """First image of a file: its sections, its axes that select a volume, its grey samples."""

    sections: int
    lengths: Mapping[str, int]
    samples: int


@lru_cache(REMEMBERED)
def first_image(path: str, _stamp: Stamp) -> FirstImage:
    """Describe the first image of a file; a scan asks twice.

    A file of which the pages are in doubt has sections too: opening it reports which page it is.
    """
    with regular(path) as file:
        try:
            with structure(file, path) as (_, images):
                series = images[0]
                try:
                    lengths = volume_of(series, path).axes.lengths
                except SourceError:
                    lengths = {}
                return FirstImage(sections_of(series), lengths, count_grey(series.keyframe))
        except PagesDiffer as error:
            return FirstImage(error.pages, {}, 1)
