"""Groups of Paintera in N5: what in them is no volume of labels.

The format: https://github.com/saalfeldlab/paintera#paintera-data-format.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bfly.edits.stored_tables import PAINTERA
from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import KeyValueStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.storage.files import Files

__all__ = ["check_multiset", "is_helper", "merge_tables"]

HELPERS = ("unique-labels", "label-to-block-mapping", PAINTERA)
"""Datasets beside the ``data`` of a group: lists of labels, of blocks and of merges."""


def is_helper(path: str, files: Files, document: str) -> bool:
    """Return whether a dataset is one of Paintera's lists about the labels beside it.

    Parameters
    ----------
    path : str
        Folder of the dataset.
    files : Files
        Access to the group that it is in.
    document : str
        Name of the file with the attributes.
    """
    group, name = os.path.split(path.rstrip("/"))
    if name not in HELPERS:
        return False
    try:
        return "painteraData" in (KeyValueStore(group, files).json(document) or {})
    except (NotAllowed, SourceError):
        return False


def merge_tables(path: str, files: Files, document: str) -> list[str]:
    """Return the list of merges beside the labels of a group, if there is one in a folder.

    The parameters are those of `is_helper`, for the dataset of labels.
    """
    group, name = os.path.split(path.rstrip("/"))
    table = os.path.join(group, PAINTERA)
    if name != "data" or not os.path.isdir(table) or not is_helper(table, files, document):
        return []
    shape = (KeyValueStore(table, files).json(document) or {}).get("dimensions", ())
    return [table] if len(shape) == 2 and 2 in shape else []


def check_multiset(path: str, attributes: Mapping[str, Any]) -> None:
    """Raise `SourceError` if a dataset holds several labels for each voxel."""
    if attributes.get("isLabelMultiset") is True:
        raise SourceError(
            f"{path} holds label multisets of Paintera, several labels for each voxel; allowed is "
            "one: convert it to labels by Paintera's export or its conversion helper."
        )
