"""Pages of TIFF: which of them can be served, and what their samples stand for."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["MAGICS", "check_chain", "check_page", "is_palette", "samples_of"]

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF and a BigTIFF begin, of either byte order."""


def check_chain(tiff: tifffile.TiffFile) -> None:
    """Raise `ValueError` if pages or their SubIFDs break off, which tifffile only logs."""
    form, last, file = tiff.tiff, tiff.pages[-1], tiff.filehandle
    file.seek(last.offset)
    (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(last.offset + form.tagnosize + tags * form.tagsize)
    end = file.read(form.offsetsize)
    broken = len(end) < form.offsetsize or struct.unpack(form.offsetformat, end) != (0,)
    if broken or any(at >= file.size for at in tiff.pages[0].subifds or ()):
        raise ValueError("it is truncated")


def check_page(page: tifffile.TiffPage) -> None:
    """Raise `ValueError` if the samples of a page cannot be served as one value a pixel."""
    kind = tifffile.PHOTOMETRIC(page.photometric)
    as_rgb = page.compression == tifffile.COMPRESSION.JPEG
    if kind.name not in ("MINISBLACK", "MINISWHITE", "PALETTE", "RGB") and not (
        kind.name == "YCBCR" and as_rgb
    ):
        raise ValueError(f"its colours are {kind.name}; allowed are grey, palette and RGB")
    if page.dtype is None:
        raise ValueError(f"its samples have {page.bitspersample} bits")


def is_palette(page: tifffile.TiffPage) -> bool:
    """Tell whether samples are places in a table of colours."""
    return bool(page.photometric == tifffile.PHOTOMETRIC.PALETTE)


def samples_of(page: tifffile.TiffPage, stored: NDArray[Any]) -> NDArray[Any]:
    """Give the samples of pixels without alpha: grey or RGB.

    Parameters
    ----------
    page : tifffile.TiffPage
        Says what the stored samples are.
    stored : numpy.ndarray
        Pixels of any number of axes, and their samples along the last one.

    Returns
    -------
    numpy.ndarray
        The same pixels, with 1 or 3 samples.
    """
    if is_palette(page):
        colours = (page.colormap >> 8).astype("u1").T
        pixels: NDArray[Any] = colours[stored[..., 0]]
        return pixels
    if page.bitspersample < 8:
        stored = stored.astype("u1") * np.uint8(255 // (2**page.bitspersample - 1))
    samples: NDArray[Any] = stored[..., : page.samplesperpixel - len(page.extrasamples)]
    return samples
