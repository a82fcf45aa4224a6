"""What tests of cutouts need: volumes, boxes, and what numpy says is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["boxes", "padded_slice", "random_volume"]


def random_volume(shape: Zyx, dtype: str, seed: int = 0) -> NDArray[Any]:
    """Make voxels that use the whole range of a dtype, and no zeros, which are fill."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(1, 2, shape).astype(dtype)
    lowest = np.iinfo(dtype).min or 1
    volume = rng.integers(lowest, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    volume[volume == 0] = 1
    return volume


def padded_slice(volume: NDArray[Any], box: BoundingBox) -> NDArray[Any]:
    """Cut a box out of a volume, with zeros where it lies outside."""
    result = np.zeros(box.shape, volume.dtype)
    inside = box & BoundingBox.of_shape(zyx(volume.shape))
    result[inside.relative_to(box.start).slices] = volume[inside.slices]
    return result


def boxes(shape: Zyx) -> st.SearchStrategy[BoundingBox]:
    """Return boxes inside, across the borders of, and outside a volume; never empty."""
    starts = st.tuples(*(st.integers(-size - 2, size + 2) for size in shape))
    shapes = st.tuples(*(st.integers(1, 2 * size + 2) for size in shape))
    return st.builds(BoundingBox.of_shape, shapes, starts)
