"""What two states of a channel have in common, and the segments in which they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.branch import BranchEdits
from bfly.edits.components import components
from bfly.errors import TooLarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.channel_lines import Found

    Ids = NDArray[np.uint64]

__all__ = ["Difference", "differences", "meeting"]

MOST = 100_000
"""Segments that operations changed since two states parted, at most."""


class Difference(NamedTuple):
    """Supervoxels that make other segments in one state than in another.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, sorted.
    before, after : numpy.ndarray
        uint64, the names of their segments in the first and in the second state.
    """

    supervoxels: Ids
    before: Ids
    after: Ids


def meeting(one: Found, other: Found) -> int:
    """Return the last operation that two states have in common."""
    last = 0
    for (line, position), (same, place) in zip(_way(one), _way(other), strict=False):
        if line is not same:
            break
        last = min(position, place)
        if position != place:
            break
    return last


def _way(found: Found) -> list[tuple[ChannelEdits, int]]:
    """Return the lines that lead to a state, the channel first, and the last operation of each."""
    edits, position = found.edits, found.state.position
    way: list[tuple[ChannelEdits, int]] = []
    while isinstance(edits, BranchEdits):
        if position > edits.origin:
            way.insert(0, (edits, position))
            position = edits.origin
        edits = edits.parent
    return [(edits, position), *way]


def differences(one: Found, other: Found) -> list[Difference]:
    """Return where the segments of two states differ, by the lowest supervoxel.

    Segments that have supervoxels in common are one difference.

    Raises
    ------
    TooLarge
        Too many segments have changed.
    """
    since = meeting(one, other)
    changed = np.unique(np.concatenate([_changed(one, since), _changed(other, since)]))
    before, after = one.state.segments(changed), other.state.segments(changed)
    (names, first), (others, second) = (
        np.unique(each, return_inverse=True) for each in (before, after)
    )
    label = components(len(names) + len(others), first, len(names) + second)[first]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    # What was taken back differs no more.
    found = [
        Difference(changed[group], before[group], after[group])
        for group in groups
        if (before[group] != after[group]).any()
    ]
    return sorted(found, key=lambda difference: int(difference.supervoxels[0]))


def _changed(found: Found, since: int) -> Ids:
    """Return the supervoxels of the segments that operations made and that are there."""
    lineage, state = found.edits.history.lineage, found.state
    last = state.position
    if last <= since:
        return np.empty(0, np.uint64)
    made = range(lineage.last(since) + 1, lineage.last(last) + 1)
    current = []
    for number in made:
        replaced = lineage.replaced_by(number)
        if not 0 < replaced <= last:
            current.append(number)
            if len(current) > MOST:
                raise TooLarge(
                    f"More than {MOST} segments have changed since the operation {since}, where "
                    "the two parted: compare states that are nearer to each other."
                )
    return np.concatenate([np.empty(0, np.uint64), *map(state.numbered, current)])
