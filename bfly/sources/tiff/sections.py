"""Images of a TIFF: which pages are the sections of one volume.

tifffile groups pages that one decoder reads. A page in between that is packed in another way, by
``tiffcp`` or another program that adds pages, would be an image of its own, and all sections behind
it would be one too low.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tifffile

from bfly.sources.shared.tiff_pages import is_section, kind_of_page, name_of
from bfly.sources.tiff.axes import images_in
from bfly.sources.tiff.lsm import lsm_volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PagesDiffer", "images_of"]

KINDS = ("generic", "uniform", "shaped", "imagej")
"""Images, by tifffile's words, whose pages are sections in the file's order."""


class PagesDiffer(ValueError):
    """Pages are in doubt, so that the places of sections are not known.

    Parameters
    ----------
    message : str
        Says which page.
    pages : int
        Pages of the kind of the first one.
    """

    def __init__(self, message: str, pages: int) -> None:
        super().__init__(message)
        self.pages = pages


def images_of(
    tiff: tifffile.TiffFile, layouts: Mapping[int, bytes]
) -> list[tifffile.TiffPageSeries]:
    """Return the images of a file; the first one is the volume.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        The open file.
    layouts : mapping of int to bytes
        How each page is stored, by its offset (see `layouts_of`).

    Raises
    ------
    PagesDiffer
        Pages of another kind are between those of the volume, or the file describes them otherwise.
    """
    is_mixed = len(set(layouts.values())) > 1
    if is_mixed:
        # Otherwise tifffile looks at three pages only.
        tiff.is_uniform = False
    try:
        series: list[tifffile.TiffPageSeries] = tiff.series
    except RuntimeError:
        # tifffile's error for a page that the first one's decoder does not read.
        if not is_mixed:
            raise
        series = []
    if tiff.is_lsm and series:
        series = [lsm_volume(series[0])]
    if is_mixed or _is_one_by_one(series):
        return _regrouped(tiff, layouts, series)
    return series


def _is_one_by_one(series: Sequence[tifffile.TiffPageSeries]) -> bool:
    """Return whether tifffile wrote each page as an image of its own: a loop without metadata."""
    return len(series) > 1 and all(one.kind == "shaped" and len(one.pages) == 1 for one in series)


def _regrouped(
    tiff: tifffile.TiffFile,
    layouts: Mapping[int, bytes],
    series: list[tifffile.TiffPageSeries],
) -> list[tifffile.TiffPageSeries]:
    """Return the images, with all pages of the first one's kind in it."""
    is_described = bool(series) and series[0].kind not in KINDS[:2]
    if is_described and not _is_one_by_one(series) and _is_alike(series[0], layouts):
        return series
    if (series and series[0].kind not in KINDS) or not (series or tiff.is_imagej or tiff.is_shaped):
        raise PagesDiffer(
            "its pages are packed in several ways, unlike what describes them", len(layouts)
        )
    pages = [page.aspage() if page.is_frame else page for page in tiff.pages]
    full = [page for page in pages if is_section(page)] or pages
    kind = kind_of_page(full[0])
    sections = [page for page in full if kind_of_page(page) == kind]
    if is_described and len(sections) == 1 and series[0].keyframe.offset == sections[0].offset:
        # ImageJ lists one page of a large stack.
        return series
    for page in full[: full.index(sections[-1])]:
        if kind_of_page(page) != kind and not _is_small(page, full[0]):
            raise PagesDiffer(
                f"page {page.index} is {name_of(page)}; the sections around it are "
                f"{name_of(full[0])}",
                len(sections),
            )
    offsets = {page.offset for page in sections}
    others = [one for one in series if not any(p and p.offset in offsets for p in one.pages)]
    for one in series:
        if not is_described and {page.offset for page in one.pages} == offsets:
            return [one, *others]
    return [_image(tiff, sections), *others]


def _is_alike(series: tifffile.TiffPageSeries, layouts: Mapping[int, bytes]) -> bool:
    """Return whether all pages of an image are stored as tifffile reads them.

    Where the first page is uncompressed, tifffile may not look at the others.
    """
    alike = [
        layouts[page.offset] == layouts.get(page.keyframe.offset)
        for page in series.pages
        if page is not None and page.offset in layouts
    ]
    key = layouts.get(series.keyframe.offset)
    listed = sum(layout == key for layout in layouts.values())
    return all(alike) and listed * series.keyframe.imagedepth >= images_in(series)


def _is_small(page: tifffile.TiffPage, section: tifffile.TiffPage) -> bool:
    """Return whether a page is a thumbnail or a coarser level: at most half as high and wide."""
    return bool(
        page.imagelength * 2 <= section.imagelength + 1
        and page.imagewidth * 2 <= section.imagewidth + 1
    )


def _image(tiff: tifffile.TiffFile, sections: list[tifffile.TiffPage]) -> tifffile.TiffPageSeries:
    """Return an image of pages that are packed in several ways."""
    page = sections[0]
    axes, sizes = _described_axes(tiff, page)
    if math.prod(sizes) != len(sections):
        if math.prod(sizes) > 1:
            raise PagesDiffer(
                f"its description states {' x '.join(map(str, sizes))} pages; there are "
                f"{len(sections)} of one kind",
                len(sections),
            )
        axes, sizes = "I", (len(sections),)
    shape = (*sizes, *page.shape)
    return tifffile.TiffPageSeries(
        sections, shape, page.dtype, axes + page.axes, kind="generic", squeeze=False
    )


def _described_axes(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage
) -> tuple[str, tuple[int, ...]]:
    """Return the axes of the pages, in the words of tifffile, and their sizes.

    ImageJ numbers channels first, then slices, then frames. tifffile describes an array.
    """
    if tiff.is_imagej:
        described = tiff.imagej_metadata or {}
        sizes = tuple(int(described.get(word, 1)) for word in ("frames", "slices", "channels"))
        images = int(described.get("images", 1))
        return ("TZC", sizes) if math.prod(sizes) == images else ("I", (images,))
    if tiff.is_shaped:
        described = tiff.shaped_metadata[0]
        shape = tuple(int(size) for size in described["shape"])
        sizes = shape[: max(0, len(shape) - len(page.shape))]
        axes = str(described.get("axes", ""))
        return (axes if len(axes) == len(shape) else "Q" * len(shape))[: len(sizes)], sizes
    return "", ()
