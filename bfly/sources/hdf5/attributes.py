"""Attributes of HDF5 datasets and groups, as far as they are read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["attributes_of"]

log = logging.getLogger(__name__)

LENGTHS = 1 << 16
"""Bytes of the largest attribute: HDF5 stores no more next to a dataset."""


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
