"""SciPy, which only splits need: imported when one is made."""

from __future__ import annotations

from typing import Any

from bfly.errors import MissingLibrary

__all__ = ["csgraph", "linalg", "ndimage", "sparse"]

MESSAGE = "Splits need SciPy: pip install 'bfly[splits]'."


def csgraph() -> Any:
    """Return `scipy.sparse.csgraph`: shortest paths, components, maximum flow.

    Raises
    ------
    MissingLibrary
        SciPy is not installed.
    """
    try:
        from scipy.sparse import csgraph
    except ImportError as error:
        raise MissingLibrary(MESSAGE) from error
    return csgraph


def linalg() -> Any:
    """Return `scipy.sparse.linalg`: sparse equations.

    Raises
    ------
    MissingLibrary
        SciPy is not installed.
    """
    try:
        from scipy.sparse import linalg
    except ImportError as error:
        raise MissingLibrary(MESSAGE) from error
    return linalg


def ndimage() -> Any:
    """Return `scipy.ndimage`: components of masks.

    Raises
    ------
    MissingLibrary
        SciPy is not installed.
    """
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingLibrary(MESSAGE) from error
    return ndimage


def sparse() -> Any:
    """Return `scipy.sparse`: matrices of edges.

    Raises
    ------
    MissingLibrary
        SciPy is not installed.
    """
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingLibrary(MESSAGE) from error
    return sparse
