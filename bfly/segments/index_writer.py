"""Writing of a label index from the postings of all cells."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

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
from bfly.segments.posting import POSTING, summed
from bfly.segments.rows import RowFile, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["label_keys", "merge_files", "write_index"]

DRAFT = 1 << 20
"""Rows of a draft of the sizes, which is sorted in memory."""


def label_keys(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the keys by which postings are sorted: their labels."""
    return np.ascontiguousarray(rows["label"], np.uint64)


def _size_keys(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return keys that ascend as sizes descend."""
    return ~np.ascontiguousarray(rows["voxels"], np.uint64)


def merge_files(files: Sequence[str], path: str) -> str:
    """Merge sorted files of postings into one, unless it is there already.

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
    if not os.path.exists(path):
        with writing(path) as add:
            for rows in merged([RowFile(file, POSTING) for file in files], label_keys):
                add(rows)
    return path


def write_index(folder: str, files: Sequence[str]) -> Summary:
    """Write an index from sorted files of postings; it can be opened once it is whole.

    Parameters
    ----------
    folder : str
        Folder of the index.
    files : sequence of str
        `POSTING`, sorted by label; at most `AT_ONCE`.

    Raises
    ------
    OSError
        The folder cannot be written.
    SourceError
        A file is missing or damaged.
    """
    labels = voxels = count = 0
    sizes = _Sizes(folder)
    sources = [RowFile(file, POSTING) for file in files]
    with (
        writing(os.path.join(folder, POSTINGS)) as add,
        writing(os.path.join(folder, FENCES)) as add_fences,
    ):
        for rows in by_key(merged(sources, label_keys), label_keys):
            add(rows)
            add_fences(rows["label"][-count % BLOCK :: BLOCK].astype(FENCE))
            whole = summed(rows)
            sizes.add(whole)
            count, labels = count + len(rows), labels + len(whole)
            voxels += int(whole["voxels"].sum())
    sizes.finish()
    summary = Summary(labels, count, voxels)
    with writing(os.path.join(folder, ABOUT)) as add:
        add(np.frombuffer(json.dumps(asdict(summary)).encode(), np.uint8))
    return summary


class _Sizes:
    """The labels by size, sorted in drafts that are merged at the end."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, SIZES)
        self._held: list[NDArray[Any]] = []
        self._drafts: list[str] = []

    def add(self, whole: NDArray[np.void]) -> None:
        """Take the next labels, as postings."""
        rows = np.empty(len(whole), SIZE)
        rows["label"], rows["voxels"] = whole["label"], whole["voxels"]
        self._held.append(rows)
        if sum(map(len, self._held)) >= DRAFT:
            self._write()

    def _write(self) -> None:
        rows = np.concatenate(self._held or [np.empty(0, SIZE)])
        self._held = []
        self._drafts.append(f"{self._path}-{len(self._drafts)}")
        with writing(self._drafts[-1]) as add:
            add(rows[np.argsort(_size_keys(rows), kind="stable")])

    def finish(self) -> None:
        """Write the file from all drafts, and remove them."""
        self._write()
        drafts, number = self._drafts, len(self._drafts)
        while len(drafts) > 1 or drafts[0] != self._path:
            first, drafts = drafts[:AT_ONCE], drafts[AT_ONCE:]
            number += 1
            drafts.append(f"{self._path}-{number}" if drafts else self._path)
            with writing(drafts[-1]) as add:
                for rows in merged([RowFile(file, SIZE) for file in first], _size_keys):
                    add(rows)
            for file in first:
                os.unlink(file)
