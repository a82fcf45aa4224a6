"""Chunks of zarr 3 in shards, found by the index of a shard without decoding anything.

The format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import zyx
from bfly.storage.files import read_exactly
from bfly.storage.limits import METADATA, check_length, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.storage.files import Files

__all__ = ["ZarrShards", "check_shards", "has_shards", "is_sharded"]

SHARDING = "sharding_indexed"

DEPTH = 4
"""ZarrShards in shards; more than one is hardly ever written."""

ENTRY = 16
"""Bytes of an entry of the index: an offset and a size."""

MISSING = 2**64 - 1
"""The offset and the size of a chunk that was never written."""

CHECKSUMS = {("bytes",): 0, ("bytes", "crc32c"): 4}
"""How many bytes follow an index, by its codecs."""


def is_sharded(meta: Mapping[str, Any]) -> bool:
    """Tell whether the chunks of an array lie in shards, by its ``.zarray`` or ``zarr.json``."""
    match meta.get("codecs"):
        case [{"name": "sharding_indexed"}]:
            return True
    return False


def has_shards(codecs: Any) -> bool:
    """Tell whether any of the codecs of a ``zarr.json`` divides what it is given."""
    listed = codecs if isinstance(codecs, list) else []
    return any(isinstance(each, dict) and each.get("name") == SHARDING for each in listed)


def check_shards(codecs: Any, shard: Sequence[int], path: str, depth: int = 0) -> None:
    """Raise `SourceError` if the index of a shard is larger than metadata may be.

    Parameters
    ----------
    codecs : list
        Those of the array, or of what is in a shard.
    shard : sequence of int
        The shape of what they are given.
    path : str
        Names the file in messages.
    depth : int
        How many shards are around it.
    """
    check_number(path, depth, DEPTH, "shards in each other")
    for codec in codecs if has_shards(codecs) else ():
        if isinstance(codec, dict) and codec.get("name") == SHARDING:
            options = codec["configuration"]
            chunk = sides(options["chunk_shape"], "chunk_shape", path)
            count = math.prod(n // c for n, c in zip(shard, chunk, strict=True))
            check_length(f"{path}: the index of a shard", count * ENTRY, METADATA)
            check_shards(options.get("codecs"), chunk, path, depth + 1)


@dataclass(frozen=True)
class ZarrShards:
    """How the shards of an array are divided.

    Parameters
    ----------
    shard, chunk : tuple of int
        The shape (z, y, x) of a shard, and of a chunk in it, in voxels.
    strides : tuple of int
        From a chunk to the next one along z, y and x, in entries of the index.
    count : int
        Entries of the index.
    checksum : int
        Bytes behind the index, which are not looked at: an index has to end where the file's
        chunks do, and who unpacks a chunk sees whether it is one.
    at_end : bool
        Whether the index is the end of a shard, or its start.
    """

    shard: Zyx
    chunk: Zyx
    strides: Zyx
    count: int
    checksum: int
    at_end: bool

    @classmethod
    def of(cls, meta: Mapping[str, Any], axes: tuple[int, ...]) -> ZarrShards | None:
        """Give those of an array with shards, None if they are not as usual.

        Parameters
        ----------
        meta : mapping
            Its ``zarr.json``.
        axes : tuple of int
            Which axes are z, y and x; all others are one voxel long.
        """
        try:
            options = meta["codecs"][0]["configuration"]
            codecs = options["index_codecs"]
            checksum = CHECKSUMS.get(tuple(codec["name"] for codec in codecs))
            if checksum is None or codecs[0]["configuration"]["endian"] != "little":
                return None
            shard = meta["chunk_grid"]["configuration"]["chunk_shape"]
            chunk = options["chunk_shape"]
            counts = [n // c for n, c in zip(shard, chunk, strict=True)]
            strides = [math.prod(counts[axis + 1 :]) for axis in range(len(counts))]
            sizes = _zyx_of(shard, axes), _zyx_of(chunk, axes), _zyx_of(strides, axes)
            at_end = options.get("index_location", "end") == "end"
            return cls(*sizes, math.prod(counts), checksum, at_end)
        except (KeyError, TypeError, ValueError):
            # What is wrong here TensorStore says better, or knows that it is not.
            return None

    def read(self, files: Files, path: str, start: Zyx) -> bytes | None:
        """Give a chunk as it is stored.

        Parameters
        ----------
        files : Files
            The way to the file.
        path : str
            The file of the shard that it lies in.
        start : tuple of int
            Its first voxel (z, y, x).

        Returns
        -------
        bytes or None
            None if it was never written, or the index is none.

        Raises
        ------
        FileNotFoundError
            There is no such shard.
        SourceError
            The shard cannot be read.
        """
        with files.file(path) as file:
            entry = self._entry(file.fileno(), path, start)
            return None if entry is None else read_exactly(file.fileno(), *entry, path)

    def place(self, size: int, start: Zyx) -> tuple[int, int]:
        """Return where in a shard a chunk's entry of the index is, and how many bytes it has.

        Parameters
        ----------
        size : int
            Bytes of the shard.
        start : tuple of int
            The first voxel (z, y, x) of the chunk.
        """
        steps = zip(start, self.shard, self.chunk, self.strides, strict=True)
        number = sum(at % n // c * stride for at, n, c, stride in steps)
        return self._first(size) + number * ENTRY, ENTRY

    @staticmethod
    def offset(entry: bytes) -> int | None:
        """Return where a chunk begins by its entry; None if it was never written."""
        start = int.from_bytes(entry[:8], "little")
        return None if len(entry) < ENTRY or start == MISSING else start

    def _first(self, size: int) -> int:
        """Return where the index of a shard of so many bytes begins; below 0 if nowhere."""
        return size - self.count * ENTRY - self.checksum if self.at_end else 0

    def _entry(self, fd: int, path: str, start: Zyx) -> tuple[int, int] | None:
        """Find size and offset of a chunk in the index."""
        size = os.fstat(fd).st_size
        first = self._first(size)
        if first < 0:
            return None
        index = read_exactly(fd, self.count * ENTRY, first, path)
        stated = np.frombuffer(index, "<u8").reshape(-1, 2)
        written = stated[stated[:, 0] != MISSING]
        # Of a shard that was cut short other bytes stand there, which say something else.
        end = first if self.at_end else size
        if not len(written) or written.max() > size or written.sum(axis=1).max() != end:
            return None
        offset, length = map(int, stated[(self.place(size, start)[0] - first) // ENTRY])
        return None if offset == MISSING else (length, offset)


def _zyx_of(sides: Sequence[int], axes: tuple[int, ...]) -> Zyx:
    """Return what is stated for z, y and x; 1 for z if there is none."""
    return zyx([1, *(sides[axis] for axis in axes)][-3:])
