"""Detection of Imaris files, which are HDF5 (see `bfly.sources.imaris`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py

from bfly.errors import ButterflyError
from bfly.sources.hdf5.plain import opened_low
from bfly.storage.files import regular

if TYPE_CHECKING:
    from typing import Any

__all__ = ["ENDING", "has_layout", "is_imaris"]

ENDING = "ims"

MARK = b"ImarisDataSet"
"""Attribute of the root group."""


def is_imaris(path: str) -> bool:
    """Return whether an HDF5 file has the layout of Imaris; False if it cannot be opened."""
    try:
        with regular(path) as file, opened_low(file.fileno()) as opened:
            return has_layout(h5py.h5g.open(opened, b"/"))
    except (ButterflyError, OSError, RuntimeError, KeyError, TypeError, ValueError):
        return False


def has_layout(root: Any) -> bool:
    """Return whether the root of an open file states that it is Imaris', or has its groups.

    Parameters
    ----------
    root : h5py.h5g.GroupID
        The root group. Links to other files are not followed.
    """
    if h5py.h5a.exists(root, MARK):
        return True
    name = b"DataSet"
    if not root.links.exists(name) or root.links.get_info(name).type != h5py.h5l.TYPE_HARD:
        return False
    found = h5py.h5o.open(root, name)
    return isinstance(found, h5py.h5g.GroupID) and found.links.exists(b"ResolutionLevel 0")
