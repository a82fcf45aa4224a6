"""Which arrays have chunks, and whether these have the names that the metadata state.

A missing chunk is the fill value. If all are missing because they are named otherwise, a volume
would be blank without a reason. The check lists some objects of each array when it is opened.
"""

from __future__ import annotations

import logging
import os
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.chunk_keys import is_chunk_like

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.sources.shared.arrays import Array
    from bfly.sources.shared.chunk_keys import ChunkKeys
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["Sample", "sample_of", "written"]

log = logging.getLogger(__name__)

NAMES = 512
"""Objects of an array that are looked at: listing so many takes about a millisecond."""

FOLDERS = 32
"""Folders of an array that are listed: on a network file system each takes about a millisecond."""

NUMBERED = re.compile(r"c|-?\d[\d_.-]*")
"""Folders of chunks: one level of an index, or the prefix of zarr 3."""


class Sample(NamedTuple):
    """Some objects below a name.

    Parameters
    ----------
    names : list of str
        Their names below it, at most `NAMES`.
    is_all : bool
        Whether there are no others.
    """

    names: list[str]
    is_all: bool


def written(store: KeyValueStore, arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the arrays of a volume without coarser ones that were never written.

    Levels without a chunk are computed from finer ones instead. A volume without any chunk is
    reported in the log. Behind a URL nothing is checked: listing takes long, or is not possible.

    Parameters
    ----------
    store : KeyValueStore
        Holds the objects.
    arrays : dict
        The arrays by readable names, the finest first.

    Raises
    ------
    SourceError
        Chunks are there, but have other names than the metadata state, or are of coarser levels
        only. The message has the expected name and the one that is there.
    """
    if store.is_remote or not arrays:
        return arrays
    states = {name: _has_chunks(store, array) for name, array in arrays.items()}
    full = [name for name, state in states.items() if state]
    empty = [name for name, state in states.items() if state is False]
    finest = next(iter(arrays))
    if len(empty) == len(arrays):
        _check_moved(store, arrays[finest])
        log.warning("%s has no chunks: all its voxels are the fill value.", store.path)
        return arrays
    if full and finest in empty:
        raise SourceError(
            f"{store.path} has no chunks of its finest level, {finest}, but has some of {full[0]}: "
            f"{_expected(arrays[finest])} and all others are missing."
        )
    for name in empty if full else ():
        log.warning("%s: the level %s has no chunks; it is computed instead.", store.path, name)
    return {name: array for name, array in arrays.items() if not full or name not in empty}


def sample_of(store: KeyValueStore, folder: str, *, deep: bool = False) -> Sample:
    """List some objects of an array.

    Parameters
    ----------
    store : KeyValueStore
        A folder or an archive.
    folder : str
        Path of the objects in the store.
    deep : bool
        Whether to look into folders of any name, not only those of chunks.
    """
    if store.folder is None:
        below = f"{folder}/" if folder else ""
        there = (name for name in store.entries if name.startswith(below) and name[-1] != "/")
        names = [name.removeprefix(below) for name in islice(there, NAMES + 1)]
        return Sample(names[:NAMES], len(names) <= NAMES)
    top = f"{store.folder}/{folder}" if folder else store.folder
    names, left, is_all = [], [""], True
    for _ in range(FOLDERS):
        if not left or len(names) >= NAMES:
            break
        below = left.pop()
        try:
            with store.files.folder(f"{top}/{below}") as fd, os.scandir(fd) as listing:
                entries = [
                    (entry.name, entry.is_dir()) for entry in islice(listing, NAMES - len(names))
                ]
                is_all &= next(listing, None) is None
        except FileNotFoundError:
            continue
        except (OSError, NotAllowed, SourceError):
            # Reading a chunk raises a clearer error.
            return Sample([], is_all=False)
        names += [below + name for name, is_folder in entries if not is_folder]
        left += [
            f"{below}{name}/"
            for name, is_folder in entries
            if is_folder and (deep or NUMBERED.fullmatch(name))
        ]
    return Sample(names, is_all and not left)


def _has_chunks(store: KeyValueStore, array: Array) -> bool | None:
    """Return whether an array has a chunk; None if that is not certain without a long search."""
    keys = array.keys
    if keys is None:
        return None
    names, is_all = sample_of(store, keys.folder)
    is_written, odd, doubled = False, "", ""
    for name in filter(is_chunk_like, sorted(names)):
        right = keys.right(name)
        if right is not None and name in (right, *(right + ending for ending in keys.endings)):
            is_written = True
            doubled = doubled or (name if name != right and right in names else "")
        elif right is None:
            odd = odd or name
        elif not any(_sizes(store, keys, right)):
            raise SourceError(
                f"{store.path}: the chunk {keys.path(right)} is missing, {keys.path(name)} is "
                "there. Rename the chunks, or correct the metadata."
            )
    if odd and not is_written:
        raise SourceError(
            f"{store.path}: {keys.path(odd)} is there, but no chunk that the metadata name, such "
            f"as {_expected(array)}."
        )
    if odd:
        log.warning(
            "%s: %s is not read: it is no chunk of the grid that the metadata describe.",
            *(store.path, keys.path(odd)),
        )
    if doubled:
        log.warning(
            "%s: %s is not read: the same chunk is there without the ending.",
            *(store.path, keys.path(doubled)),
        )
    return is_written or (False if is_all else None)


def _sizes(store: KeyValueStore, keys: ChunkKeys, name: str) -> Iterable[bool]:
    """Yield whether a chunk, or a compressed form of it, is there."""
    return (store.size(keys.path(name + end)) is not None for end in ("", *keys.endings))


def _expected(array: Array) -> str:
    """Return the name of the first chunk of an array."""
    return next(iter(array.names(BoundingBox.of_shape((1, 1, 1)))))


def _check_moved(store: KeyValueStore, array: Array) -> None:
    """Raise `SourceError` if the folder of an array is missing and its chunks are in another."""
    keys = array.keys
    # A folder with its own metadata is there. Meshes and skeletons have shards too.
    if keys is None or keys.folder == array.name or array.in_shards:
        return
    for name in sample_of(store, "", deep=True).names:
        folder, _, chunk = name.rpartition("/")
        if folder != keys.folder and keys.right(chunk) == chunk:
            raise SourceError(
                f"{store.path} has no chunks in {keys.folder}, which the metadata name; "
                f"{name} is there."
            )
