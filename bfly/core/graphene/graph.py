"""The segments of a channel at a moment, by the ids of graphene."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import Absent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.core.graphene.ids import GrapheneIds
    from bfly.edits.channel_lines import Found
    from bfly.edits.state import EditState
    from bfly.segments.segments import Segments

    Ids = NDArray[np.uint64]

__all__ = ["Graph"]

DIGITS = 6
"""Digits of a second: CAVEclient sends back the time of an operation in whole microseconds."""


class Graph:
    """What is a segment, and when.

    Parameters
    ----------
    found : Found
        The edits of the channel, and the state that counts as the latest.
    ids : GrapheneIds
        The ids of the channel.
    segments : Segments, optional
        The labels of the channel, if its label index is there.
    """

    def __init__(self, found: Found, ids: GrapheneIds, segments: Segments | None = None) -> None:
        self.found, self.ids, self._segments = found, ids, segments
        self.history = found.edits.history
        self.lineage = self.history.lineage

    def position_at(self, time: float | None) -> int:
        """Return the last operation up to a time, in seconds since 1970; the latest for None."""
        last = self.found.state.position
        if time is None:
            return last
        return bisect_right(range(1, last + 1), round(time, DIGITS), key=self.time_of)

    def time_of(self, operation: int) -> float:
        """Return when an operation was done, in seconds since 1970; 0 for the start."""
        if not operation:
            return 0.0
        return round(self.history.operations([operation])[0].time, DIGITS)

    def state_at(self, time: float | None) -> EditState:
        """Return the state at a time."""
        return self._state(self.position_at(time))

    def _state(self, position: int) -> EditState:
        latest = self.found.state
        return latest if position == latest.position else self.found.edits.at(position)

    def made_by(self, root: int) -> int:
        """Return the operation that made a root; 0 for that of an unedited segment.

        Raises
        ------
        Absent
            There is no such root.
        """
        number = self.ids.number(root) if self.ids.is_root(root) else 0
        operation = self.lineage.made_by(number)
        is_there = operation <= self.found.state.position
        if not self.ids.is_root(root) or not is_there or (number and not operation):
            raise Absent(f"There is no root {root}.")
        return operation

    def replaced_by(self, root: int) -> int:
        """Return the operation that replaced a root; 0 if none did. Raises as `made_by`."""
        if self.made_by(root):
            by = self.lineage.replaced_by(self.ids.number(root))
        else:
            first = self.history.first_number(self.ids.label(root))
            by = self.lineage.made_by(first) if first else 0
        return by if by <= self.found.state.position else 0

    def state_of(self, root: int) -> EditState:
        """Return the last state in which there is a root; raises as `made_by`."""
        replaced = self.replaced_by(root)
        return self._state(replaced - 1) if replaced else self.found.state

    def members(self, root: int) -> Ids:
        """Return the supervoxels (labels) of a root, of today or not; raises as `made_by`."""
        number = self.ids.number(root)
        if not number:
            self.made_by(root)
            return np.array([self.ids.label(root)], np.uint64)
        return self.state_of(root).numbered(number)

    def supervoxels(self, node: int) -> Ids:
        """Return the labels that a root, a supervoxel or a label as it is stored stands for.

        Raises
        ------
        Absent
            There is none.
        """
        if self.ids.is_root(node):
            return self.members(node)
        return np.array([self.ids.label(node)], np.uint64)

    def roots(self, given: Ids, state: EditState) -> Ids:
        """Return the root of each id in a state; 0 for ids that mean nothing.

        A root stays as it is if it is there in the state; another one counts as its first
        supervoxel.
        """
        labels = self.ids.labels(given)
        is_edited = given >= np.uint64(self.ids.of_number(0))
        for place in np.flatnonzero(is_edited).tolist():
            try:
                labels[place] = self.members(int(given[place]))[0]
            except Absent:
                labels[place] = 0
        return self.ids.roots(state, self._there(labels))

    def _there(self, labels: Ids) -> Ids:
        """Return labels with 0 for those that the channel does not have, as far as is known."""
        if self._segments is None or not len(labels):
            return labels
        has = self._segments.index.of(np.unique(labels))["label"]
        return np.where(np.isin(labels, has), labels, np.uint64(0))

    def is_latest(self, root: int, position: int) -> bool:
        """Return whether there is a root after an operation."""
        try:
            made, replaced = self.made_by(root), self.replaced_by(root)
        except Absent:
            return False
        return made <= position and not 0 < replaced <= position

    def before(self, operation: int) -> list[int]:
        """Return the roots that an operation replaced, those of unedited segments too."""
        done = self.history.operations([operation])[0]
        numbers = [self.ids.of_number(each) for each in self.lineage.replaced(operation)]
        earlier = self._state(operation - 1)
        named = np.unique(np.concatenate([done.supervoxels, done.parts]))
        unedited = named[earlier.numbers(named) == 0]
        return [*numbers, *(unedited + np.uint64(self.ids.root)).tolist()]

    def made(self, operation: int) -> list[int]:
        """Return the roots that an operation made."""
        return [self.ids.of_number(number) for number in self.lineage.made(operation)]
