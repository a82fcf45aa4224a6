"""Attributes of a dataset and of its groups that state a voxel size or a position."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bfly.sources.shared.voxel_size import NAMES, stated_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["attributes_above", "placing"]

log = logging.getLogger(__name__)

LENGTHS = 1 << 16
"""Bytes of the largest attribute that is read: HDF5 stores no more next to a dataset."""


def attributes_above(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield the attributes of a dataset and of its parent groups, up to the root."""
    holder = dataset
    while True:
        yield _attributes(holder)
        if holder.name == "/":
            return
        holder = holder.parent


def placing(holders: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes of the first holder that states a position or a size.

    A dataset that states its size and no position begins at 0, whatever a group states. One that
    states only its position has the size of its group. `holders` are the attributes of the
    dataset, and of each group above it.
    """
    while holders and not ("offset" in holders[0] or stated_size(holders[0])):
        holders = holders[1:]
    if not holders or "offset" not in holders[0]:
        return {}
    return {name: value for holder in reversed(holders) for name, value in holder.items()}


def _attributes(holder: Any) -> dict[str, Any]:
    """Read the attributes that may state a voxel size, up to `LENGTHS` bytes each."""
    attributes = {}
    for name in NAMES:
        try:
            if name in holder.attrs and holder.attrs.get_id(name).get_storage_size() <= LENGTHS:
                attributes[name] = holder.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError, KeyError, OverflowError) as error:
            log.debug("%s: the attribute %s cannot be read: %s", holder.name, name, error)
    return attributes
