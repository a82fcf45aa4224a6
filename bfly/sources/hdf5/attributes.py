"""Attributes of HDF5 datasets and groups, as far as they are read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bfly.sources.shared.voxel_size import NAMES, stated_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

__all__ = ["attributes_above", "attributes_of", "placing"]

log = logging.getLogger(__name__)

LENGTHS = 1 << 16
"""Bytes of the largest attribute: HDF5 stores no more next to a dataset."""


def attributes_above(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield what may state a size or a position: in a dataset, and in each group up to the root."""
    holder = dataset
    while True:
        yield attributes_of(holder, NAMES)
        if holder.name == "/":
            return
        holder = holder.parent


def placing(holders: list[dict[str, Any]], axes: Sequence[int]) -> dict[str, Any]:
    """Return the attributes of the first holder that states a position or a size.

    A dataset that states its size and no position begins at 0, whatever a group states. One that
    states only its position has the size of its group. `holders` are the attributes of the
    dataset, and of each group above it; for `axes` see `stated_size`.
    """
    while holders and not ("offset" in holders[0] or stated_size(holders[0], axes)):
        holders = holders[1:]
    if not holders or "offset" not in holders[0]:
        return {}
    return {name: value for holder in reversed(holders) for name, value in holder.items()}


def attributes_of(holder: Any, names: Iterable[str]) -> dict[str, Any]:
    """Read attributes, up to `LENGTHS` bytes each.

    Parameters
    ----------
    holder : h5py.Dataset or h5py.Group
        What has them.
    names : iterable of str
        Names of the attributes; those that are missing, or cannot be read, are left out.
    """
    attributes: dict[str, Any] = {}
    for name in names if len(holder.attrs) else ():
        try:
            if name in holder.attrs and holder.attrs.get_id(name).get_storage_size() <= LENGTHS:
                attributes[name] = holder.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError, KeyError, OverflowError) as error:
            log.debug("%s: the attribute %s cannot be read: %s", holder.name, name, error)
    return attributes
