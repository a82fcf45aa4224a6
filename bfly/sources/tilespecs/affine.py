"""Affine transform of an image, sampled on a grid of pixels.

A pixel's value is that at its centre, and the centre of pixel i is at i. Therefore a pixel of a
coarser mip m has its centre at ``(i + 1/2) 2^m - 1/2``, of mip 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Pixels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["at_mip", "paint"]


def at_mip(mip: int) -> NDArray[np.float64]:
    """Return the matrix (3, 3) that maps pixels (x, y, 1) of a mip to those of mip 0."""
    size = float(1 << mip)
    shift = (size - 1) / 2
    return np.array([[size, 0, shift], [0, size, shift], [0, 0, 1]])


def paint(
    target: Pixels,
    image: Pixels,
    matrix: NDArray[np.float64],
    extent: tuple[float, float],
    *,
    nearest: bool,
    mask: Pixels | None = None,
) -> None:
    """Paint an image over the pixels of a target that it covers; bilinear, rounded to the nearest.

    Parameters
    ----------
    target : numpy.ndarray
        Shape (height, width); changed where the image is.
    image : numpy.ndarray
        Shape (height, width), of the target's dtype.
    matrix : numpy.ndarray
        Maps pixels (x, y, 1) of the target to those of the image, shape (3, 3).
    extent : tuple of float
        The height and width of the image in its pixels; the last pixels may be partial.
    nearest : bool
        Use the nearest pixel instead, as labels need.
    mask : numpy.ndarray, optional
        The image's shape; where it is 0 at the nearest pixel, nothing is painted.
    """
    y, x = np.mgrid[: target.shape[0], : target.shape[1]]
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    # A pixel extends half its size to either side of its centre. Rounding errors must not
    # drop a row on the border.
    left, top = u.round(6), v.round(6)
    covered = (left >= -0.5) & (left < extent[1] - 0.5) & (top >= -0.5) & (top < extent[0] - 0.5)
    if not covered.any():
        return
    height, width = image.shape
    u, v = u[covered].clip(0, width - 1), v[covered].clip(0, height - 1)
    near = (v + 0.5).astype(int).clip(0, height - 1), (u + 0.5).astype(int).clip(0, width - 1)
    values = image[near] if nearest else _bilinear(image, v, u)
    if mask is not None:
        there = mask[near] != 0
        covered[covered] = there
        values = values[there]
    target[covered] = values


def _bilinear(image: Pixels, v: NDArray[np.float64], u: NDArray[np.float64]) -> Pixels:
    """Interpolate at positions (v, u) between the first and the last pixel."""
    top, left = v.astype(int), u.astype(int)
    below, right = v - top, u - left
    bottom = np.minimum(top + 1, image.shape[0] - 1)
    end = np.minimum(left + 1, image.shape[1] - 1)
    upper = image[top, left] * (1 - right) + image[top, end] * right
    lower = image[bottom, left] * (1 - right) + image[bottom, end] * right
    values = upper * (1 - below) + lower * below
    # Halves must round alike in every box, but their rounding errors depend on its origin.
    rounded: Pixels = values if image.dtype.kind == "f" else np.rint(values.round(6))
    return rounded.astype(image.dtype)
