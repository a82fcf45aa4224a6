"""The separator in the names of zarr 2 chunks where the metadata do not state it.

``dimension_separator`` is optional, and ``.`` if it is missing
(https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html). Nested folders are older than this key:
the NestedDirectoryStore of zarr-python before 2.8 and OME-Zarr 0.1 wrote them without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.sources.shared.sample import sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["separator_of"]


def separator_of(meta: Mapping[str, Any], name: str, store: KeyValueStore) -> str:
    """Return the stated separator of a zarr 2 array, or else that of its first chunks.

    Parameters
    ----------
    meta : mapping
        Its ``.zarray``.
    name : str
        Path of the array in the store.
    store : KeyValueStore
        Holds the chunks. Behind a URL they are not listed.
    """
    stated = meta.get("dimension_separator")
    if stated is not None or store.is_remote:
        return str(stated or ".")
    rank = len(meta["shape"])
    names = [name.split("/") for name in sample_of(store, name).names]
    is_nested = any(len(name) == rank > 1 and all(map(str.isdigit, name)) for name in names)
    is_flat = any(len(name) == 1 and name[0].replace(".", "").isdigit() for name in names)
    return "/" if is_nested and not is_flat else "."
