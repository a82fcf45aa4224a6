"""Mappings of voxels to pixels: the ``view`` of a request.

Images have grey levels: low bits are dropped, and the full range of the dtype is black to white, so
0 is the middle grey of signed integers. Labels have ids: every bit of an id affects its colour, and
a negative id counts as its 64 bits. Floats are always levels, from 0 (black) to 1 (white).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.encoders.strips import strips
from bfly.encoders.unsigned import unsigned
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["VIEWS", "check_view", "colormap", "grayscale", "pixel_bytes", "render", "rgb"]

BLOCK = 1 << 16
"""Voxels that are mapped to pixels in one step. Their temporary arrays, up to 32 bytes per voxel,
stay in the cache of a core: larger blocks take more memory and are slower."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, made odd: the multiplier of Fibonacci hashing (Knuth,
The Art of Computer Programming 3, 6.4). Consecutive ids get distant values."""


def render(voxels: NDArray[Any], view: str, kind: str, bits: int = 8) -> NDArray[Any]:
    """Map voxels to pixels with the view of this name.

    Parameters
    ----------
    voxels : numpy.ndarray
        Shape (z, y, x), integers or float32.
    view : str
        One of `VIEWS`.
    kind : {"image", "segmentation"}
        Meaning of the voxels.
    bits : {8, 16}
        Bits of a grey level that the format can store, at most.

    Returns
    -------
    numpy.ndarray
        Shape (z, y, x) for grey, uint8 or uint16, or (z, y, x, 3) for red, green and blue,
        uint8. It may be `voxels` itself.

    Raises
    ------
    BadRequest
        There is no such view.
    """
    check_view(view)
    return VIEWS[view](voxels, kind, bits)


def check_view(view: str) -> None:
    """Raise `BadRequest` if there is no view of this name."""
    if view not in VIEWS:
        raise BadRequest(f"The view {view} is not in {list(VIEWS)}.")


def pixel_bytes(dtype: np.dtype[Any], view: str, kind: str, bits: int = 8) -> int:
    """Return the bytes per pixel of `render`; the parameters are the same."""
    if view != "grayscale" or kind == "segmentation":
        return 3
    return 1 if dtype.kind == "f" else min(dtype.itemsize, bits // 8)


def grayscale(voxels: NDArray[Any], kind: str, bits: int = 8) -> NDArray[Any]:
    """Return levels as grey; labels have none, and get the colours of `colormap`.

    Parameters and result are those of `render`. Integers wider than `bits` keep their
    highest `bits`. Signed ones are counted from the lowest value of their dtype. Floats are
    clipped to [0, 1] and scaled to 0..255; NaN is black.
    """
    return colormap(voxels, kind) if kind == "segmentation" else _grey(voxels, bits)


def colormap(voxels: NDArray[Any], kind: str, bits: int = 8) -> NDArray[Any]:
    """Return a colour for every value, from a hash of its 64 bits; 0 is black.

    Parameters and result are those of `render`. An id has the same colour in every dtype,
    tile, process and version. A table of 32,768 colours, none near black, replaces the
    conversion from hue to colour by one lookup.
    """
    return _in_blocks(_colours, voxels, np.dtype(np.uint8), 3)


def _colours(voxels: NDArray[Any], pixels: NDArray[Any]) -> None:
    ids = _integers(voxels).astype(np.uint64, copy=False)
    index = ids >> np.uint64(32)
    index *= GOLDEN
    index ^= ids
    index *= GOLDEN
    index >>= np.uint64(48)
    index |= np.minimum(ids, 1)  # odd except for id 0, so that only id 0 gets the black entry 0
    pixels[...] = PALETTE.take(index.view(np.int64), axis=0)


def rgb(voxels: NDArray[Any], kind: str, bits: int = 8) -> NDArray[Any]:
    """Return labels as r + 256 g + 65536 b, their lowest 24 bits; images as equal r, g and b.

    Parameters and result are those of `render`.
    """
    work = _low_bytes if kind == "segmentation" else _equal_bytes
    return _in_blocks(work, voxels, np.dtype(np.uint8), 3)


def _low_bytes(voxels: NDArray[Any], pixels: NDArray[Any]) -> None:
    low = _integers(voxels).astype("<u4", order="C")[..., np.newaxis].view(np.uint8)
    for channel in range(3):
        pixels[..., channel] = low[..., channel]


def _equal_bytes(voxels: NDArray[Any], pixels: NDArray[Any]) -> None:
    grey = _grey(voxels, 8)
    for channel in range(3):
        pixels[..., channel] = grey


def _grey(voxels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return grey levels of 8 bits, or of up to `bits` if the voxels have as many."""
    if voxels.dtype.kind == "f":
        return _in_blocks(_levels, voxels, np.dtype(np.uint8))
    stored = 8 * voxels.dtype.itemsize
    kept = min(stored, bits)
    if kept == stored and voxels.dtype.kind == "u":
        return voxels

    def highest(block: NDArray[Any], pixels: NDArray[Any]) -> None:
        pixels[...] = _from_lowest(block) >> (stored - kept)

    return _in_blocks(highest, voxels, np.dtype(f"u{kept // 8}"))


def _from_lowest(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return integers counted from the lowest value of their dtype, in the same order."""
    if voxels.dtype.kind == "u":
        return voxels
    counted = unsigned(voxels.dtype)
    shifted: NDArray[Any] = voxels.view(counted) ^ counted.type(1 << 8 * counted.itemsize - 1)
    return shifted


def _levels(voxels: NDArray[Any], pixels: NDArray[Any]) -> None:
    levels = np.fmax(voxels, 0)  # 0 for NaN too
    np.fmin(levels, 1, out=levels)
    levels *= 255
    pixels[...] = np.rint(levels, out=levels)


def _in_blocks(
    work: Callable[[NDArray[Any], NDArray[Any]], None],
    voxels: NDArray[Any],
    dtype: np.dtype[Any],
    *channels: int,
) -> NDArray[Any]:
    """Call `work` with each block of voxels and the array for its pixels."""
    pixels = np.empty((*voxels.shape, *channels), dtype)
    for block in strips(voxels.shape, BLOCK):
        work(voxels[block], pixels[block])
    return pixels


def _integers(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return integers, which may be ids, unchanged; floats as grey levels."""
    return _grey(voxels, 8) if voxels.dtype.kind == "f" else voxels


def _palette() -> NDArray[np.uint8]:
    """Return 65,536 colours, (n, 3) uint8: black, then any hue, pale to full, bright to half.

    The formula from hue h (in sixths of the circle), saturation s and value v is the usual
    one, channel by channel: v - v s max(0, min(k, 4 - k, 1)) with k = (n + h) mod 6 and
    n = 5, 3, 1 for red, green and blue (A. R. Smith, Color Gamut Transform Pairs, 1978).
    """
    index = np.arange(1 << 16)
    hue = index * (6 / len(index))
    saturation = 0.5 + 0.5 * (index * 0.7548776662 % 1)  # the plastic number's two ratios
    value = 0.6 + 0.4 * (index * 0.5698402910 % 1)  # spread evenly over a square (R2 sequence)
    k = (np.array([5, 3, 1]) + hue[:, None]) % 6
    dip = np.clip(np.minimum(k, 4 - k), 0, 1)
    colours = 255 * value[:, None] * (1 - saturation[:, None] * dip)
    colours[0] = 0
    return np.asarray(np.rint(colours), np.uint8)


PALETTE = _palette()

VIEWS: dict[str, Callable[[NDArray[Any], str, int], NDArray[Any]]] = {
    "colormap": colormap,
    "grayscale": grayscale,
    "rgb": rgb,
}
