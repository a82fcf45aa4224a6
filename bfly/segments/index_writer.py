"""Writing of a label index from the postings of all cells."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.segments.index import (
    ABOUT,
    BLOCK,
    FENCE,
    FENCES,
    POSTINGS,
    SIZE,
    SIZES,
    Summary,
)
from bfly.segments.merging import AT_ONCE, by_key, merged
from bfly.segments.posting import POSTING, label_keys, summed
from bfly.segments.rows import RowFile, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["merge_files", "write_index"]

DRAFT = 1 << 20
"""Rows of a draft of the sizes, which is sorted in memory."""


def _size_keys(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return keys that ascend as sizes descend."""
    return ~np.ascontiguousarray(rows["voxels"], np.uint64)


def merge_files(files: Sequence[str], path: str) -> str:
    """Merge sorted files of postings into one, unless it is there already, and empty them.

    The files stay, so that they are not made again. Of several processes that do the same, the
    first one counts: the others may have read files that it has emptied.

    Parameters
    ----------
    files : sequence of str
        `POSTING`, sorted by label; at most `AT_ONCE`.
    path : str
        The file to write.

    Raises
    ------
    OSError
        The file cannot be written.
    SourceError
        A file is missing or damaged.
    """
    if os.path.exists(path):
        return path
    try:
        with writing(path, once=True) as add:
            for rows in merged([RowFile(file, POSTING) for file in files], label_keys):
                add(rows)
    except SourceError:
        if not os.path.exists(path):
            raise
    for file in files:
        os.truncate(file, 0)
    return path


def write_index(folder: str, files: Sequence[str], drafts: str) -> Summary:
    """Write an index from sorted files of postings; it can be opened once it is whole.

    Parameters
    ----------
    folder : str
        Folder of the index.
    files : sequence of str
        `POSTING`, sorted by label; at most `AT_ONCE`.
    drafts : str
        Folder on the same disk for what is not whole.

    Raises
    ------
    OSError
        The folder cannot be written.
    SourceError
        A file is missing or damaged.
    """
    labels = voxels = count = 0
    sources = [RowFile(file, POSTING) for file in files]
    os.makedirs(drafts, exist_ok=True)
    with (
        TemporaryDirectory(dir=drafts, prefix=".sizes-", ignore_cleanup_errors=True) as own,
        writing(os.path.join(folder, POSTINGS), drafts) as add,
        writing(os.path.join(folder, FENCES), drafts) as add_fences,
    ):
        sizes = _Sizes(own)
        for rows in by_key(merged(sources, label_keys), label_keys):
            add(rows)
            add_fences(rows["label"][-count % BLOCK :: BLOCK].astype(FENCE))
            whole = summed(rows)
            sizes.add(whole)
            count, labels = count + len(rows), labels + len(whole)
            voxels += int(whole["voxels"].sum())
        with writing(os.path.join(folder, SIZES), drafts) as add_sizes:
            for rows in sizes.merged():
                add_sizes(rows)
    summary = Summary(labels, count, voxels)
    with writing(os.path.join(folder, ABOUT), drafts) as add:
        add(np.frombuffer(json.dumps(asdict(summary)).encode(), np.uint8))
    return summary


class _Sizes:
    """The labels by size, sorted in drafts that are merged at the end.

    Parameters
    ----------
    folder : str
        Folder of the drafts, of this process alone.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._held: list[NDArray[Any]] = []
        self._drafts: list[str] = []
        self._number = 0

    def add(self, whole: NDArray[np.void]) -> None:
        """Take the next labels, as postings."""
        rows = np.empty(len(whole), SIZE)
        rows["label"], rows["voxels"] = whole["label"], whole["voxels"]
        self._held.append(rows)
        if sum(map(len, self._held)) >= DRAFT:
            self._hold()

    def _hold(self) -> None:
        rows = np.concatenate(self._held or [np.empty(0, SIZE)])
        self._held = []
        self._write([rows[np.argsort(_size_keys(rows), kind="stable")]])

    def _write(self, parts: Iterable[NDArray[Any]]) -> None:
        self._number += 1
        self._drafts.append(os.path.join(self._folder, str(self._number)))
        with writing(self._drafts[-1]) as add:
            for rows in parts:
                add(rows)

    def merged(self) -> Iterator[NDArray[Any]]:
        """Yield all labels in their order, in parts."""
        self._hold()
        while len(self._drafts) > AT_ONCE:
            first, self._drafts = self._drafts[:AT_ONCE], self._drafts[AT_ONCE:]
            self._write(merged([RowFile(file, SIZE) for file in first], _size_keys))
            for file in first:
                os.unlink(file)
        yield from merged([RowFile(file, SIZE) for file in self._drafts], _size_keys)
