"""dtypes of stored voxels, and the dtypes in which they are served."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from typing import Any

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "as_served",
    "bytes_dtype",
    "is_converted",
    "quiet",
    "say_conversion",
    "served_dtype",
]

log = logging.getLogger(__name__)

FLOATS = (2, 4, 8)
"""Bytes of the floats that are served, as float32."""

SAID = 10_000
"""Files of which the log has said that their voxels are converted."""


def served_dtype(dtype: np.dtype[Any], path: str) -> np.dtype[Any]:
    """Return the dtype in which a file's voxels are served.

    Parameters
    ----------
    dtype : numpy.dtype
        As stored. Integers of every width, booleans and floats of 16 to 64 bits can be served.
    path : str
        Name of the file in the message.

    Returns
    -------
    numpy.dtype
        Little-endian; booleans become uint8, floats float32. Integers keep their kind and width.

    Raises
    ------
    SourceError
        Voxels of this dtype cannot be served.
    """
    if dtype.kind in "iub":
        return np.dtype(f"<{dtype.kind.replace('b', 'u')}{dtype.itemsize}")
    if dtype.kind == "f" and dtype.itemsize in FLOATS:
        return np.dtype("<f4")
    raise SourceError(
        f"{path} holds {dtype} voxels; allowed are integers of 8 to 64 bits and floats of 16 to "
        "64 bits."
    )


def bytes_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which stored bytes are read: booleans as uint8, others as they are."""
    return np.dtype(f"{dtype.byteorder}{dtype.kind.replace('b', 'u')}{dtype.itemsize}")


def is_converted(dtype: np.dtype[Any]) -> bool:
    """Return whether stored voxels are floats that are served as others, of 32 bits."""
    return dtype.kind == "f" and dtype.itemsize != 4


def as_served(voxels: Voxels, dtype: np.dtype[Any]) -> Voxels:
    """Return stored voxels in C order, in the dtype in which they are served.

    Parameters
    ----------
    voxels : numpy.ndarray
        Array of any shape.
    dtype : numpy.dtype
        The `served_dtype` of theirs. float64 is rounded to the nearest float32; what is beyond
        its range becomes infinite, and NaN stays NaN.
    """
    with quiet():
        return np.ascontiguousarray(voxels, dtype)


def quiet() -> np.errstate:
    """Return a context in which numpy does not warn of floats that become infinite."""
    return np.errstate(over="ignore", invalid="ignore")


@lru_cache(maxsize=SAID)
def say_conversion(path: str, stored: str) -> None:
    """Log once that the floats of a file are served as float32; `stored` is their dtype."""
    log.info("%s holds %s voxels; they are served as float32.", path, stored)
