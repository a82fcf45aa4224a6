"""Pages of TIFF: which of them can be served, and what their samples mean."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from bfly.sources.shared.image_sizes import stated
from bfly.sources.shared.tiff_layouts import layouts_of
from bfly.storage.limits import check_chunk
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray

__all__ = [
    "MAGICS",
    "check_chain",
    "check_packed",
    "check_page",
    "count_grey",
    "is_palette",
    "is_section",
    "is_tiff",
    "is_written",
    "kind_of_page",
    "name_of",
    "remarks",
    "sample_of",
    "samples_of",
    "without_sample",
]

IMAGES = {
    "OJPEG",
    "JPEG",
    "ALT_JPEG",
    "JPEG_LOSSY",
    "JPEG_99",
    "JPEGXR",
    "JPEGXR_NDPI",
    "JPEG2000",
    "JPEG_2000_LOSSY",
    "APERIO_JP2000_YCBC",
    "APERIO_JP2000_RGB",
    "JPEGXL",
    "JPEGXL_DNG",
    "PNG",
    "WEBP",
    "WEBP_DEPRECATED",
    "LERC",
}
"""Compressions, by tifffile's names, with data that state the number of pixels."""

GREY = ("MINISBLACK", "MINISWHITE")
"""Colours, by tifffile's names, of which each sample is a value of its own."""

ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)

BYTE = 255

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in both byte orders."""


def is_tiff(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a TIFF or BigTIFF."""
    return head.startswith(MAGICS)


def check_chain(tiff: tifffile.TiffFile, path: str) -> Mapping[int, bytes]:
    """Return the layouts of all pages (see `layouts_of`); raise if they are incomplete.

    Raises
    ------
    ValueError
        Pages or their SubIFDs are cut off, which tifffile only logs.
    Oversized
        There are too many pages.
    """
    layouts = layouts_of(tiff, path)
    form, last, file = tiff.tiff, tiff.pages[-1], tiff.filehandle
    file.seek(last.offset)
    (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(last.offset + form.tagnosize + tags * form.tagsize)
    end = file.read(form.offsetsize)
    broken = len(end) < form.offsetsize or struct.unpack(form.offsetformat, end) != (0,)
    if broken or any(at >= file.size for at in tiff.pages[0].subifds or ()):
        raise ValueError("it is truncated")
    return layouts


def check_packed(page: tifffile.TiffPage, data: bytes, what: str, limit: int) -> None:
    """Raise if the header of a strip or tile states more than a limit to decode.

    Raises
    ------
    Oversized
        It states more.
    ValueError
        Its size cannot be read.
    """
    if tifffile.COMPRESSION(page.compression).name in IMAGES:
        size = stated(data)
        if size is None:
            raise ValueError("its number of pixels cannot be determined")
        check_chunk(what, "an image", size[:2], size.depth, limit)


def check_page(page: tifffile.TiffPage, path: str, limit: int) -> None:
    """Raise `ValueError` if the samples of a page cannot be served as one value a pixel.

    Raises
    ------
    Oversized
        A strip or tile decompresses to more than a limit.
    """
    if page.dtype is not None and not page.is_contiguous:
        check_chunk(path, "a strip or tile", page.chunks, page.dtype.itemsize, limit)
    name = tifffile.PHOTOMETRIC(page.photometric).name
    as_rgb = page.compression == tifffile.COMPRESSION.JPEG
    if name not in (*GREY, "PALETTE", "RGB") and not (name == "YCBCR" and as_rgb):
        raise ValueError(f"its colours are {name}; allowed are grey, palette and RGB")
    if page.dtype is None:
        raise ValueError(f"its samples have {page.bitspersample} bits")
    needed = {"PALETTE": 1, "RGB": 3, "YCBCR": 3}.get(name, 1)
    if page.samplesperpixel < needed:
        raise ValueError(f"its colours are {name} of {page.samplesperpixel} samples")


def is_written(at: int, size: int, number: int) -> bool:
    """Return whether a strip or tile was written: one that was not is at byte 0 and has no bytes.

    Raises
    ------
    ValueError
        It has a position or a size, but not both. At byte 0 is the header of the file.
    """
    if bool(at) != bool(size):
        raise ValueError(
            f"strip or tile {number} at byte {at} has {size} bytes: it was not written completely"
        )
    return bool(at)


def is_palette(page: tifffile.TiffPage) -> bool:
    """Return whether samples are indices into a colour table."""
    return bool(page.photometric == tifffile.PHOTOMETRIC.PALETTE)


def is_section(page: tifffile.TiffPage) -> bool:
    """Return whether a page is neither a smaller copy nor a mask of another one.

    NewSubfileType states so (TIFF 6.0, section 8).
    """
    return not (page.is_reduced or page.is_mask)


def kind_of_page(page: tifffile.TiffPage) -> tuple[object, ...]:
    """Return what the pages of a volume have in common, however each of them is packed."""
    name = tifffile.PHOTOMETRIC(page.photometric).name
    return (
        page.imagedepth,
        page.imagelength,
        page.imagewidth,
        page.samplesperpixel,
        page.bitspersample,
        page.dtype,
        page.extrasamples,
        # JPEG's way to store RGB.
        "RGB" if name == "YCBCR" else name,
    )


def name_of(page: tifffile.TiffPage) -> str:
    """Return a page as text for messages: ``40 x 36 pixels of uint8, MINISBLACK``."""
    name = tifffile.PHOTOMETRIC(page.photometric).name
    samples = f"{page.samplesperpixel} samples of " * (page.samplesperpixel > 1)
    return f"{page.imagelength} x {page.imagewidth} pixels of {samples}{page.dtype}, {name}"


def count_grey(page: tifffile.TiffPage) -> int:
    """Return the number of grey samples of a pixel, alpha aside; 1 if it has colours."""
    if tifffile.PHOTOMETRIC(page.photometric).name not in GREY:
        return 1
    alpha = sum(extra in ALPHA for extra in page.extrasamples)
    return max(1, int(page.samplesperpixel) - alpha)


def without_sample(part: Part) -> tuple[Part, str | None]:
    """Return a part without ``s`` and ``z=s``, and its place on the axis ``s``."""
    indexes = tuple(each for each in part.indexes if each[0] != "s" and each != ("z", "s"))
    return Part(part.dataset, indexes), part.of_axis("s")


def sample_of(page: tifffile.TiffPage, place: str | None, path: str) -> int:
    """Return the index of the grey sample to serve; 0 for colours.

    Parameters
    ----------
    page : tifffile.TiffPage
        Page whose pixels have one or more samples.
    place : str, optional
        The stated one, on the axis ``s``; needed if there are several.
    path : str
        Name of the file in messages.

    Raises
    ------
    SourceError, ValueError
        There are several and none is stated, or there is no such sample.
    """
    count = count_grey(page)
    if place is None and count > 1:
        raise ValueError(
            f"each of its pixels has {count} grey samples: name one of them, #s=0 to "
            f"#s={count - 1}. Of a TIFF with a single page, #z=s takes them as sections"
        )
    return 0 if place is None else Part("", (("s", place),)).index("s", count, path)


def remarks(page: tifffile.TiffPage) -> Iterator[str]:
    """Yield what a viewer of the voxels has to know; parts of a sentence without a subject."""
    name = tifffile.PHOTOMETRIC(page.photometric).name
    if name == "MINISWHITE":
        yield "is MinIsWhite: 0 is white. Voxels are served as stored, so pictures are negatives"
    others = [extra for extra in page.extrasamples if extra not in ALPHA]
    if others and name not in GREY:
        yield f"has {len(others)} samples beside its colours, which are left out"


def samples_of(page: tifffile.TiffPage, stored: NDArray[Any], sample: int = 0) -> NDArray[Any]:
    """Return the samples of pixels without alpha: grey or RGB.

    Parameters
    ----------
    page : tifffile.TiffPage
        Page that describes the stored samples.
    stored : numpy.ndarray
        Pixels along any number of axes, and their samples along the last one.
    sample : int
        Index of the grey sample (see `sample_of`).

    Returns
    -------
    numpy.ndarray
        The same pixels, with 1 or 3 samples.
    """
    if is_palette(page):
        colours = page.colormap
        # Some programs write colours of 8 bits to the table of 16 bits.
        colours = (colours >> 8 if colours.max() > BYTE else colours).astype("u1").T
        # Indices of 1 bit are decoded as booleans, which would select instead.
        pixels: NDArray[Any] = colours[stored[..., 0].astype("u2")]
        return pixels
    if page.bitspersample < 8:
        stored = stored.astype("u1") * np.uint8(BYTE // (2**page.bitspersample - 1))
    is_grey = tifffile.PHOTOMETRIC(page.photometric).name in GREY
    samples: NDArray[Any] = stored[..., sample : sample + 1] if is_grey else stored[..., :3]
    return samples
