"""Planning of a mesh job: its segments, and the nodes in which they may have triangles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bfly.segments.job_plan import ALONE, JOINED, LEVELS, JobPlan, write_members
from bfly.segments.posting import summed
from bfly.segments.rows import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState
    from bfly.geometry import Zyx
    from bfly.segments.index import Index
    from bfly.segments.node_grid import NodeGrid

    Ids = NDArray[np.uint64]

__all__ = ["NODE", "NODES", "Planning"]

NODE = np.dtype([("level", "u1"), ("node", "<u4", 3)])
"""A node (z, y, x) of a level."""

NODES = "nodes"
"""File of `NODE`, in the order in which they are meshed."""


@dataclass(frozen=True)
class Planning:
    """What a job is planned from.

    Parameters
    ----------
    index : Index
        Label index of the channel.
    edits : EditState or None
        The edits that apply.
    grid : NodeGrid
        Nodes of the channel.
    first : tuple of int
        The channel's first voxel in the dataset (z, y, x).
    ids : numpy.ndarray or None
        uint64, the segments that are wanted; None for all.
    """

    index: Index
    edits: EditState | None
    grid: NodeGrid
    first: Zyx
    ids: Ids | None

    def write(self, folder: str, is_kept: Callable[[int], bool]) -> tuple[int, int]:
        """Write the plan; return the number of segments, and that of their postings.

        Parameters
        ----------
        folder : str
            Folder of the job.
        is_kept : callable
            Whether a segment, by its id, has a mesh that is current.

        Raises
        ------
        OSError
            The folder cannot be written.
        SourceError
            The index is damaged.
        """
        none = np.empty(0, np.uint64)
        table = self.edits.table() if self.edits else (none, none)
        write_members(folder, *table)
        for name in (ALONE, JOINED):
            with writing(os.path.join(folder, name)):
                pass
        names = JobPlan(folder)
        joined = np.unique(table[1])
        if self.ids is not None:
            joined = np.intersect1d(joined, self.ids)
        low = np.full((len(joined), 3), 2**32 - 1, np.int64)
        high = np.zeros((len(joined), 3), np.int64)
        with writing(os.path.join(folder, ALONE)) as add:
            for postings in self._postings():
                rows = summed(postings)
                segments, _ = names.of_labels(rows["label"])
                at = np.searchsorted(joined, segments)
                at[at == len(joined)] = 0
                is_joined = joined[at] == segments if len(joined) else np.zeros(len(rows), bool)
                np.minimum.at(low, at[is_joined], rows["low"][is_joined].astype(np.int64))
                np.maximum.at(high, at[is_joined], rows["high"][is_joined].astype(np.int64))
                is_alone = ~is_joined & (segments == rows["label"])
                rows = rows[is_alone]
                add(self._levels(rows["label"], rows["low"], rows["high"], is_kept))
        has_voxels = (high > 0).any(axis=1)
        with writing(os.path.join(folder, JOINED)) as add:
            add(self._levels(joined[has_voxels], low[has_voxels], high[has_voxels], is_kept))
        plan = JobPlan(folder)
        return len(plan), self._write_nodes(folder, plan)

    def _postings(self) -> Iterator[NDArray[np.void]]:
        """Yield the postings of the wanted segments, all of a label together."""
        if self.ids is None:
            yield from self.index.parts()
            return
        members = [self.edits.members(one) for one in self.ids.tolist()] if self.edits else []
        yield self.index.postings(np.concatenate([self.ids, *members]))

    def _levels(
        self,
        segments: Ids,
        low: NDArray[np.integer],
        high: NDArray[np.integer],
        is_kept: Callable[[int], bool],
    ) -> NDArray[np.void]:
        is_new = np.array([not is_kept(one) for one in segments.tolist()], bool)
        rows = np.empty(int(is_new.sum()), LEVELS)
        rows["segment"] = segments[is_new]
        first = np.array(self.first, np.int64)
        box = (each[is_new].astype(np.int64) + first for each in (low, high))
        rows["levels"] = self.grid.levels(*box)
        return rows

    def _write_nodes(self, folder: str, plan: JobPlan) -> int:
        """Write the nodes in which the segments of a plan may have triangles."""
        grid, count = self.grid, 0
        marks = [np.zeros(grid.nodes(level), bool) for level in range(len(grid.factors))]
        for postings in self._postings():
            _, levels = plan.of_labels(np.ascontiguousarray(postings["label"]))
            count += int((levels > 0).sum())
            for level, mark in enumerate(marks):
                self._mark(mark, level, postings[levels > level])
        with writing(os.path.join(folder, NODES)) as add:
            for level, mark in enumerate(marks):
                nodes = np.argwhere(mark)
                rows = np.empty(len(nodes), NODE)
                rows["level"], rows["node"] = level, nodes
                add(rows)
        return count

    def _mark(self, mark: NDArray[np.bool_], level: int, postings: NDArray[np.void]) -> None:
        # A surface reaches to the voxels of the mip around it.
        factor, size = np.array(self.grid.factors[level]), self.grid.size(level)
        start = np.array(self.first, np.int64) - self.grid.origin
        most = np.array(mark.shape) - 1
        first = np.clip((postings["low"].astype(np.int64) + start - factor) // size, 0, most)
        last = np.clip((postings["high"].astype(np.int64) + start + factor) // size, 0, most)
        # The voxels of a posting are in one cell, so that a box around them is in three nodes.
        for steps in product((0, 1, 2), repeat=3):
            mark[tuple(np.minimum(first + steps, last).T)] = True
