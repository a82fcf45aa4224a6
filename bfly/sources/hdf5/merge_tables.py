"""Merge tables in an HDF5 file: datasets of a known name that assign supervoxels to segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py

from bfly.edits.stored_tables import LUTS, is_table
from bfly.sources.hdf5.file import open_h5
from bfly.sources.hdf5.plain import has_any, is_plain

if TYPE_CHECKING:
    from typing import Any

    from bfly.storage.files import Files

__all__ = ["merge_tables"]

GROUPS = ("", "volumes/", "volumes/labels/")
"""Groups that are searched: the root, as Janelia and BigCAT write it, and those of CREMI."""

ROOTS = (*LUTS, "volumes")
"""Names in the root, one of which a file with such a table has."""


def merge_tables(path: str, files: Files) -> list[str]:
    """Return the merge tables of a file, each as ``PATH#NAME``; links are not followed."""
    # Most files have none of the names, which costs much less than opening them with h5py.
    if is_plain(files, path) or not has_any(files, path, ROOTS):
        return []
    with open_h5(files, path) as (file, _):
        names = [f"{group}{name}" for group in GROUPS for name in LUTS]
        return [f"{path}#{name}" for name in names if _is_table(file, name)]


def _is_table(file: Any, name: str) -> bool:
    here = file["/"]
    for part in name.split("/"):
        is_group = isinstance(here, h5py.Group)
        if not is_group or not isinstance(here.get(part, getlink=True), h5py.HardLink):
            return False
        here = here[part]
    return isinstance(here, h5py.Dataset) and is_table(here.shape or (), here.dtype)
