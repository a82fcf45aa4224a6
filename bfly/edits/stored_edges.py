"""Edges between supervoxels that other programs found, kept beside the log of edits.

They are sorted by their lower supervoxel, then by the upper one, and cut into parts of `SIZE`
edges. The first supervoxel of each part says which parts have the edges of some supervoxels, so
that a split reads only these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.packing import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["EdgeStore", "StoredEdges", "keep", "stored_between"]

SIZE = 1024
"""Edges of a part: some 10 KB."""

COLUMNS = {"lower": "<u8", "upper": "<u8", "weight": "<f4"}


class StoredEdges(NamedTuple):
    """Edges with weights.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2), the lower supervoxel first.
    weights : numpy.ndarray
        float32, above 0: the larger, the more speaks against a cut.
    """

    pairs: Ids
    weights: NDArray[np.float32]


class EdgeStore(ABC):
    """Parts of the edges of channels, by number from 0 on, in editions that replace each other."""

    @abstractmethod
    def edge_starts(self, channel: str) -> tuple[int, Sequence[int]]:
        """Return the number of the edition, 0 for none, and the first supervoxel of each part."""

    @abstractmethod
    def edge_parts(self, channel: str, edition: int, numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield parts of an edition, with few in memory at once.

        Raises
        ------
        DatabaseError
            Another edition has replaced it.
        """

    @abstractmethod
    def keep_edges(self, channel: str, parts: Iterable[tuple[int, bytes]]) -> None:
        """Replace the edges of a channel by parts, each with its first supervoxel, as a whole."""


def keep(store: EdgeStore, channel: str, edges: StoredEdges) -> int:
    """Keep the edges of a channel instead of those that it has; return how many there are.

    Of edges between the same two supervoxels, the strongest counts.

    Raises
    ------
    DatabaseError
        The store cannot be written.
    """
    pairs = np.sort(edges.pairs, axis=1)
    order = np.lexsort((-edges.weights, pairs[:, 1], pairs[:, 0]))
    pairs, weights = pairs[order], edges.weights[order]
    is_first = np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))[: len(pairs)]
    pairs, weights = pairs[is_first], weights[is_first]
    store.keep_edges(channel, _parts(pairs, weights))
    return len(pairs)


def _parts(pairs: Ids, weights: NDArray[np.float32]) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(pairs), SIZE):
        some = pairs[start : start + SIZE]
        near = weights[start : start + SIZE]
        columns = {"lower": some[:, 0], "upper": some[:, 1], "weight": near}
        yield int(some[0, 0]), packed(COLUMNS, columns, {})


def stored_between(store: EdgeStore, channel: str, supervoxels: Ids) -> StoredEdges:
    """Return the stored edges between supervoxels, which are sorted.

    Raises
    ------
    DatabaseError
        The store cannot be read, or is damaged.
    """
    edition, given = store.edge_starts(channel)
    starts = np.array(given, np.uint64)
    wanted = np.zeros(len(starts) + 1, np.int64)
    # The edges of a supervoxel begin in the part before the first one that begins with it.
    firsts = np.maximum(np.searchsorted(starts, supervoxels, "left") - 1, 0)
    lasts = np.searchsorted(starts, supervoxels, "right")
    is_there = lasts > firsts
    np.add.at(wanted, firsts[is_there], 1)
    np.add.at(wanted, lasts[is_there], -1)
    numbers = np.flatnonzero(np.cumsum(wanted)[:-1]).tolist()
    pairs, weights = [np.empty((0, 2), np.uint64)], [np.empty(0, np.float32)]
    for body in store.edge_parts(channel, edition, numbers):
        columns, _ = unpacked(COLUMNS, body, f"the edges of {channel}")
        some = np.stack([columns["lower"], columns["upper"]], axis=1)
        both = np.isin(some, supervoxels).all(axis=1)
        pairs.append(some[both])
        weights.append(columns["weight"][both])
    return StoredEdges(np.concatenate(pairs), np.concatenate(weights))
