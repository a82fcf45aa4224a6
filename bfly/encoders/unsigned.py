"""Signed voxels in formats that have unsigned integers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.errors import ButterflyError

__all__ = ["as_unsigned", "unsigned"]


def unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the unsigned dtype of the same width and byte order; any but signed as it is."""
    return np.dtype(f"{dtype.byteorder}u{dtype.itemsize}") if dtype.kind == "i" else dtype


def as_unsigned(
    voxels: NDArray[Any], what: str, error: type[ButterflyError] = BadRequest
) -> NDArray[Any]:
    """Return voxels with the same values in an unsigned dtype, without a copy.

    Parameters
    ----------
    voxels : numpy.ndarray
        Array of any shape and dtype.
    what : str
        The format, with the name of the file if it is known: ``… is sent as precomputed, which``.
    error : type of ButterflyError
        Class of the error.

    Returns
    -------
    numpy.ndarray
        A view with the dtype of `unsigned`.

    Raises
    ------
    ButterflyError
        A voxel is negative.
    """
    if voxels.dtype.kind == "i" and (lowest := voxels.min(initial=0)) < 0:
        raise error(
            f"{what} holds no {voxels.dtype.name}, and a voxel is {lowest}; allowed are 0 to "
            f"{np.iinfo(voxels.dtype).max}, as {unsigned(voxels.dtype).name}."
        )
    return voxels.view(unsigned(voxels.dtype))
