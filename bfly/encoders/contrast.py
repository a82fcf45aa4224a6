"""The contrast of voxels: the levels that are best shown as black and as white."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Contrast", "contrast", "stretched"]


class Contrast(Encoder):
    """Writes the contrast of voxels as JSON: two numbers."""

    media_type = "application/json"

    @override
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        return json.dumps({"range": contrast(voxels)}).encode()


def contrast(voxels: Voxels) -> tuple[float, float]:
    """Return the levels between which nearly all of an image is.

    Parameters
    ----------
    voxels : numpy.ndarray
        Of any shape. Zeros, with which volumes are filled up, and what is no number do not
        count, unless there is nothing else.

    Returns
    -------
    tuple of float
        The percentiles 0.5 and 99.5 of at most a million voxels; the second is greater.
    """
    values = voxels.ravel()[:: max(1, voxels.size >> 20)]
    values = values[np.isfinite(values) & (values != 0)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, 99.5)).tolist()
    return (low, high) if high > low else (low, low + 1)


def stretched(voxels: Voxels, low: float, high: float) -> NDArray[np.uint8]:
    """Return grey levels of an image: `low` is black, `high` is white, and NaN is black.

    Parameters
    ----------
    voxels : numpy.ndarray
        Of any shape.
    low, high : float
        The second is greater.

    Returns
    -------
    numpy.ndarray
        Same shape, uint8.
    """
    levels = (voxels.astype(np.float64) - low) * (255 / (high - low))
    return np.clip(np.nan_to_num(levels), 0, 255).astype(np.uint8)
