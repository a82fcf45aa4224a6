"""A sample of the objects below a name, listed in bounded time."""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bfly.errors import NotAllowed, SourceError

if TYPE_CHECKING:
    from bfly.sources.shared.kvstore import KeyValueStore
    from bfly.storage.files import Files

__all__ = ["Sample", "first_names", "sample_below", "sample_of"]

NAMES = 128
"""Objects that are listed at most: to list and check so many takes less than a millisecond."""

FOLDERS = 16
"""Folders that are listed at most: on a network file system each takes about a millisecond."""

NUMBERED = re.compile(r"c|-?\d[\d_.-]*")
"""Folders of chunks: one level of an index, or the prefix of zarr 3."""


def first_names(folder: str) -> set[str]:
    """Return the names of the first entries of a folder, to recognise it; none if it has none.

    Folders of some formats have few entries, and others up to millions.
    """
    try:
        with os.scandir(folder) as listing:
            return {entry.name for entry in islice(listing, NAMES)}
    except OSError:
        return set()


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


def sample_of(store: KeyValueStore, folder: str, *, deep: bool = False) -> Sample:
    """List some objects of an array.

    Parameters
    ----------
    store : KeyValueStore
        A folder or an archive.
    folder : str
        Path of the objects in the store.
    deep : bool
        As for `sample_below`.
    """
    if store.folder is not None:
        return sample_below(store.files, f"{store.folder}/{folder}".rstrip("/"), deep=deep)
    below = f"{folder}/" if folder else ""
    there = (name for name in store.entries if name.startswith(below) and name[-1] != "/")
    names = [name.removeprefix(below) for name in islice(there, NAMES + 1)]
    return Sample(names[:NAMES], len(names) <= NAMES)


def sample_below(files: Files, top: str, *, deep: bool = False) -> Sample:
    """List some files below a folder; none if it does not exist.

    Parameters
    ----------
    files : Files
        Access to the folder.
    top : str
        The folder.
    deep : bool
        Whether to look into folders of any name, not only those of chunks.
    """
    names, left, is_all = list[str](), [""], True
    for _ in range(FOLDERS):
        if not left or len(names) >= NAMES:
            break
        below = left.pop()
        try:
            with files.folder(f"{top}/{below}") as fd, os.scandir(fd) as listing:
                some = islice(listing, NAMES - len(names))
                entries = [(entry.name, entry.is_dir()) for entry in some]
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
