"""Which arrays have chunks, and whether these have the names that the metadata state.

A missing chunk is the fill value. If all are missing because they are named otherwise, a volume
would be blank without a reason. The check lists some objects of each array when it is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.chunk_check import has_chunks
from bfly.sources.shared.sample import sample_of
from bfly.sources.shared.written_levels import written_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.sources.shared.arrays import Array
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["written"]


def written(
    store: KeyValueStore, arrays: dict[str, Array], watch: Callable[[str], None]
) -> dict[str, Array]:
    """Return the arrays of a volume without coarser ones that were never written.

    See `written_levels`. Behind a URL nothing is checked: listing takes long, or is not possible.

    Parameters
    ----------
    store : KeyValueStore
        Holds the objects.
    arrays : dict
        The arrays by readable names, the finest first.
    watch : callable
        Called with each folder that has no chunks: the first one may come later.

    Raises
    ------
    SourceError
        Chunks are there, but have other names than the metadata state, or are of coarser levels
        only. The message has the expected name and the one that is there.
    """
    if store.is_remote:
        return arrays
    states = {name: _is_written(store, array) for name, array in arrays.items()}
    empty = [array for name, array in arrays.items() if states[name] is False]
    for array in empty if store.folder is not None else ():
        watch(f"{store.folder}/{array.keys.folder}".rstrip("/"))
    if empty and len(empty) == len(arrays):
        _check_moved(store, empty[0])
    return {name: arrays[name] for name in written_levels(store.path, "chunks", states)}


def _is_written(store: KeyValueStore, array: Array) -> bool | None:
    sample = sample_of(store, array.keys.folder)
    expected = next(iter(array.names(BoundingBox.of_shape((1, 1, 1)))))
    return has_chunks(
        store.path, sample, array.keys, lambda name: store.size(name) is not None, expected
    )


def _check_moved(store: KeyValueStore, array: Array) -> None:
    """Raise `SourceError` if the folder of an array is missing and its chunks are in another."""
    keys = array.keys
    # A folder with its own metadata is there. Meshes and skeletons have shards too.
    if keys.folder == array.name or array.in_shards:
        return
    for name in sample_of(store, "", deep=True).names:
        folder, _, chunk = name.rpartition("/")
        if folder != keys.folder and keys.right(chunk) == chunk:
            raise SourceError(
                f"{store.path} has no files in {keys.folder}, which the metadata name; "
                f"{name} is there instead."
            )
