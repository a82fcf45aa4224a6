"""Names of the objects of an array, as its metadata state them and as a writer may vary them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.geometry import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ChunkKeys", "grid_keys", "is_chunk_like", "is_lasting"]

INDEX = re.compile(r"(?:c[./])?(\d{1,18}(?:[./_-]\d{1,18})*)(?:\.\d*[a-z]\w*)?", re.I)
"""The index of a chunk with any separator, with the prefix of zarr 3, and with an ending."""

CHUNK_LIKE = re.compile(
    r"(?:c[./])?-?\d+(?:[./_-]+\d+)*(?:\.\d*[a-z]\w*)?|[0-9a-f]+\.(?:shard|index|data)(?:\.\w+)?",
    re.I,
)
"""Names that hold nothing but numbers, or are of a shard: of chunks, in whatever format."""

PASSING = ("lock", "partial", "tmp", "temp", "part", "crdownload")
"""Endings of files that are still being written."""

OTHERS = ("json", "txt", "md", "log", "csv", "tsv", "xml", "yaml", "yml", "html", "py", "ipynb")
"""Endings of notes and tables, which are never chunks."""


def is_chunk_like(name: str) -> bool:
    """Return whether an object may be a chunk by its name: one of numbers only, or of a shard."""
    return CHUNK_LIKE.fullmatch(name) is not None and is_lasting(name)


def is_lasting(name: str) -> bool:
    """Return whether a file is neither a note or table nor still being written, by its ending."""
    return re.split(r"[._]+", name.lower())[-1] not in (*PASSING, *OTHERS)


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """How the objects of an array are named.

    Parameters
    ----------
    folder : str
        Path of the objects in the store; "" if they are at its top.
    right : callable
        Takes the name of an object below `folder`, as it may also be written. Returns the name
        by which the format finds this chunk; None if it is no chunk of the array.
    endings : tuple of str
        Endings of compressed objects that are read as well, such as ``.gz``.
    is_like : callable
        Returns whether an object may be a chunk, by its name below `folder`.
    """

    folder: str
    right: Callable[[str], str | None]
    endings: tuple[str, ...] = ()
    is_like: Callable[[str], bool] = is_chunk_like

    def path(self, name: str) -> str:
        """Return the name in the store of an object below `folder`."""
        return f"{self.folder}/{name}" if self.folder else name


def grid_keys(
    folder: str, shape: Sequence[int], chunk: Sequence[int], separator: str, prefix: str = ""
) -> ChunkKeys:
    """Return the names of the objects of a regular grid.

    Parameters
    ----------
    folder, separator, prefix : str
        As for `bfly.sources.shared.arrays.grid_names`.
    shape, chunk : sequence of int
        Shape of the array and of an object, in the array's order.
    """
    counts = [ceil_div(n, c) for n, c in zip(shape, chunk, strict=True)]

    def right(name: str) -> str | None:
        match = INDEX.fullmatch(name)
        index = [int(number) for number in re.split("[./_-]", match[1])] if match else []
        if len(index) != len(counts) or any(map(int.__ge__, index, counts)):
            return None
        return prefix + separator.join(map(str, index))

    return ChunkKeys(folder, right)
