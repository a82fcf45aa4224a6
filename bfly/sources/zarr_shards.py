"""Chunks of zarr 3 in shards, found by the index of a shard without decoding anything.

The format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.files import read_exactly
from bfly.geometry import zyx
from bfly.limits import METADATA, check_length, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.files import Files
    from bfly.geometry import Zyx

__all__ = ["Shards", "check_shards", "has_shards", "is_sharded"]

SHARDING = "sharding_indexed"

DEPTH = 4
"""Shards in shards; more than one is hardly ever written."""

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
class Shards:
    """How the shards of an array are divided.

    Parameters
    ----------
    shard, chunk : tuple of int
        The shape (z, y, x) of a shard, and of a chunk in it, in voxels.
    checksum : int
        Bytes behind the index, which are not looked at: an index has to end where the file's
        chunks do, and who unpacks a chunk sees whether it is one.
    at_end : bool
        Whether the index is the end of a shard, or its start.
    """

    shard: Zyx
    chunk: Zyx
    checksum: int
    at_end: bool

    @classmethod
    def of(cls, meta: Mapping[str, Any], axes: tuple[int, ...]) -> Shards | None:
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
            sides = zyx(shard[axis] for axis in axes), zyx(chunk[axis] for axis in axes)
            return cls(*sides, checksum, options.get("index_location", "end") == "end")
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

    def _entry(self, fd: int, path: str, start: Zyx) -> tuple[int, int] | None:
        """Find size and offset of a chunk in the index."""
        counts = [n // c for n, c in zip(self.shard, self.chunk, strict=True)]
        k, j, i = (a % n // c for a, n, c in zip(start, self.shard, self.chunk, strict=True))
        size, nbytes = os.fstat(fd).st_size, math.prod(counts) * 16
        first = size - nbytes - self.checksum if self.at_end else 0
        if first < 0:
            return None
        stated = np.frombuffer(read_exactly(fd, nbytes, first, path), "<u8").reshape(-1, 2)
        written = stated[stated[:, 0] != MISSING]
        # Of a shard that was cut short other bytes stand there, which say something else.
        end = first if self.at_end else size
        if not len(written) or written.max() > size or written.sum(axis=1).max() != end:
            return None
        offset, length = map(int, stated[(k * counts[1] + j) * counts[2] + i])
        return None if offset == MISSING else (length, offset)
