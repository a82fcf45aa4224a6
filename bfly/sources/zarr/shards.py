"""Zarr 3 chunks in shards, located by the shard index without decoding.

The format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import zyx
from bfly.storage.files import read_exactly
from bfly.storage.limits import METADATA, check_length, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.shared.axes import VolumeAxes
    from bfly.storage.files import Files

__all__ = ["ENTRY", "SHARDING", "ZarrShards", "check_shards", "has_shards", "is_sharded"]

SHARDING = "sharding_indexed"

DEPTH = 4
"""Maximum nesting depth of shards; writers rarely nest them more than once."""

ENTRY = 16
"""Bytes of an index entry: an offset and a size."""

MISSING = 2**64 - 1
"""Offset and size of a chunk that was never written."""

CHECKSUMS = {("bytes",): 0, ("bytes", "crc32c"): 4}
"""Bytes after an index, by its codecs."""


def is_sharded(meta: Mapping[str, Any]) -> bool:
    """Return whether the ``.zarray`` or ``zarr.json`` of an array has chunks in shards."""
    match meta.get("codecs"):
        case [{"name": "sharding_indexed"}]:
            return True
    return False


def has_shards(codecs: Any) -> bool:
    """Return whether any of the codecs of a ``zarr.json`` is the sharding codec."""
    listed = codecs if isinstance(codecs, list) else []
    return any(isinstance(codec, dict) and codec.get("name") == SHARDING for codec in listed)


def check_shards(codecs: Any, shard: Sequence[int], path: str, depth: int = 0) -> None:
    """Raise `SourceError` if the index of a shard exceeds the limit of metadata.

    Parameters
    ----------
    codecs : list
        Codecs of the array, or of the chunks in a shard.
    shard : sequence of int
        Shape of the input of the codecs.
    path : str
        The file, for messages.
    depth : int
        Number of enclosing shards.
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
    """Layout of the shards of an array.

    Parameters
    ----------
    shard, chunk : tuple of int
        Shape (z, y, x) of a shard, and of a chunk in it, in voxels.
    strides : tuple of int
        Index entries from a chunk to the next one along z, y and x.
    count : int
        Number of index entries.
    checksum : int
        Bytes after the index. They are not verified: the index must agree with the file size,
        and the client's decoder detects a wrong chunk.
    at_end : bool
        Whether the index is at the end of a shard, not at its start.
    first : int
        Number of the index entry of the volume's first chunk in a shard; above 0 where chunks of
        other volumes are in the same shard.
    """

    shard: Zyx
    chunk: Zyx
    strides: Zyx
    count: int
    checksum: int
    at_end: bool
    first: int = 0

    @classmethod
    def of(cls, meta: Mapping[str, Any], axes: VolumeAxes) -> ZarrShards | None:
        """Return the layout of an array with shards; None if it is not a usual one.

        Parameters
        ----------
        meta : mapping
            Its ``zarr.json``.
        axes : VolumeAxes
            Which axes are z, y and x, and the place of the volume on the others.
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
            zyx_of = partial(_zyx_of, axes=axes.zyx)
            sizes = zyx_of(shard), zyx_of(chunk), zyx_of(strides)
            at_end = options.get("index_location", "end") == "end"
            first = sum(
                index % shard[axis] // chunk[axis] * strides[axis]
                for axis, index in axes.at.items()
            )
            return cls(*sizes, math.prod(counts), checksum, at_end, first)
        except (KeyError, TypeError, ValueError):
            # TensorStore raises a clearer error, or supports what this class does not.
            return None

    def read(self, files: Files, path: str, start: Zyx) -> bytes | None:
        """Read a chunk as it is stored.

        Parameters
        ----------
        files : Files
            Access to the file.
        path : str
            The file of the shard.
        start : tuple of int
            First voxel (z, y, x) of the chunk.

        Returns
        -------
        bytes or None
            None if the chunk was never written, or the index is not valid.

        Raises
        ------
        FileNotFoundError
            The shard does not exist.
        SourceError
            The shard cannot be read.
        """
        with files.file(path) as file:
            entry = self._entry(file.fileno(), path, start)
            return None if entry is None else read_exactly(file.fileno(), *entry, path)

    def place(self, size: int, start: Zyx) -> tuple[int, int]:
        """Return the offset and the size, in bytes, of a chunk's index entry in a shard.

        Parameters
        ----------
        size : int
            Bytes of the shard.
        start : tuple of int
            First voxel (z, y, x) of the chunk.
        """
        steps = zip(start, self.shard, self.chunk, self.strides, strict=True)
        number = self.first + sum(at % n // c * stride for at, n, c, stride in steps)
        return self._first(size) + number * ENTRY, ENTRY

    @staticmethod
    def offset(entry: bytes) -> int | None:
        """Return the offset of a chunk from its entry; None if it was never written."""
        start = int.from_bytes(entry[:8], "little")
        return None if len(entry) < ENTRY or start == MISSING else start

    @staticmethod
    def entry(data: bytes) -> tuple[int, int] | None:
        """Return the offset and the size of a chunk from its entry; None if never written."""
        start, size = (int.from_bytes(data[at : at + 8], "little") for at in (0, 8))
        return None if (start, size) == (MISSING, MISSING) else (start, size)

    @property
    def index_size(self) -> int:
        """Bytes of an index with its checksum."""
        return self.count * ENTRY + self.checksum

    def _first(self, size: int) -> int:
        """Return the offset of the index in a shard of `size` bytes; below 0 if too small."""
        return size - self.index_size if self.at_end else 0

    def _entry(self, fd: int, path: str, start: Zyx) -> tuple[int, int] | None:
        """Look up the size and offset of a chunk in the index."""
        size = os.fstat(fd).st_size
        first = self._first(size)
        if first < 0:
            return None
        index = read_exactly(fd, self.count * ENTRY, first, path)
        stated = np.frombuffer(index, "<u8").reshape(-1, 2)
        written = stated[stated[:, 0] != MISSING]
        # A truncated shard has other bytes here, which do not agree with its size.
        end = first if self.at_end else size
        if not len(written) or written.max() > size or written.sum(axis=1).max() != end:
            return None
        offset, length = map(int, stated[(self.place(size, start)[0] - first) // ENTRY])
        return None if offset == MISSING else (length, offset)


def _zyx_of(sides: Sequence[int], axes: tuple[int, ...]) -> Zyx:
    """Return the values for z, y and x; 1 for z if there is no such axis."""
    return zyx([1, *(sides[axis] for axis in axes)][-3:])
