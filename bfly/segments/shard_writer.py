"""Writing of a shard of meshes: each index with its fragments before it.

The format: ``sharded.md`` and ``meshes.md`` in ``src/datasource/precomputed/`` of the Neuroglancer
repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.segments.rows import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Sharding", "write_shard"]

IDS_OF_A_MINISHARD = 512
"""Segments of a minishard, about: a client reads the list of all of them to find one."""

FRAGMENTS_OF_A_SHARD = 1 << 19
"""Fragments of a shard, about, unless one segment has more. A task that writes a shard holds some
200 bytes for each, and opens the files of all pieces."""


class Sharding(NamedTuple):
    """How segments are distributed among shards: by the lowest bits of their ids.

    Parameters
    ----------
    minishard_bits, shard_bits : int
        Bits of an id that select its minishard, and above them those that select its shard.
    """

    minishard_bits: int
    shard_bits: int

    @classmethod
    def of(cls, segments: int, fragments: int) -> Sharding:
        """Return one that suits so many segments and fragments."""
        shards = max(0, (fragments // FRAGMENTS_OF_A_SHARD)).bit_length()
        return cls(((segments >> shards) // IDS_OF_A_MINISHARD).bit_length(), shards)

    @property
    def told(self) -> dict[str, Any]:
        """The ``sharding`` of an ``info``."""
        return {
            "@type": "neuroglancer_uint64_sharded_v1",
            "preshift_bits": 0,
            "hash": "identity",
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": "raw",
            "data_encoding": "raw",
        }

    def shards(self, ids: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, Any]:
        """Return the shard of each id."""
        lowest = ids >> np.uint64(self.minishard_bits)
        return (lowest & np.uint64((1 << self.shard_bits) - 1)).astype(np.uint32)

    def name(self, shard: int) -> str:
        """Return the file of a shard."""
        return f"{shard:0{-(-self.shard_bits // 4)}x}.shard"


def write_shard(
    path: str,
    minishard_bits: int,
    meshes: Sequence[tuple[int, int, bytes]],
    data: Callable[[int], Iterator[bytes]],
) -> None:
    """Write a shard as a whole.

    Parameters
    ----------
    path : str
        The file.
    minishard_bits : int
        As in `Sharding`.
    meshes : sequence of (int, int, bytes)
        Id, bytes of all fragments, and index of each segment, in ascending order of the ids.
    data : callable
        Returns the fragments of a segment, by its place in `meshes`.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    count = 1 << minishard_bits
    order = sorted(range(len(meshes)), key=lambda at: (meshes[at][0] & count - 1, meshes[at][0]))
    tables: list[list[tuple[int, int, int]]] = [[] for _ in range(count)]
    ends, lasts, end = [0] * count, [0] * count, 0
    for at in order:
        number, size, index = meshes[at]
        own = number & count - 1
        start = end + size
        tables[own].append((number - lasts[own], start - ends[own], len(index)))
        lasts[own], ends[own] = number, start + len(index)
        end = ends[own]
    packed = [np.array(table, "<u8").reshape(-1, 3).T.tobytes() for table in tables]
    stops = end + np.cumsum([len(each) for each in packed])
    bounds = np.stack([stops - [len(each) for each in packed], stops], axis=1)
    with writing(path) as add:
        add(bounds.astype("<u8"))
        for at in order:
            for part in data(at):
                add(np.frombuffer(part, np.uint8))
            add(np.frombuffer(meshes[at][2], np.uint8))
        for each in packed:
            add(np.frombuffer(each, np.uint8))
