"""What two states of a channel have in common, and the segments in which they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.edits.branch import BranchEdits
from bfly.edits.branch_patches import LOST, known_ids, renamed, twins
from bfly.edits.components import components
from bfly.errors import TooLarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.channel_lines import Found

    Ids = NDArray[np.uint64]

__all__ = ["Difference", "differences", "meeting"]

NONE: Any = np.empty(0, np.uint64)

MOST = 100_000
"""Segments that operations changed since two states parted, at most."""


class Difference(NamedTuple):
    """Supervoxels that make other segments, or have other voxels, in one state than in another.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, sorted: the ids in the first state; 0 for what only the second one has.
    others : numpy.ndarray
        uint64: the ids in the second state, which patches that were done again have anew; 0 for
        what only the first one has.
    before, after : numpy.ndarray
        uint64, the names of their segments in the first and in the second state; 0 for none.
    """

    supervoxels: Ids
    others: Ids
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
    known, back = known_ids(one, other, since), known_ids(other, one, since)
    supervoxels, others = _matched(one, other, since, known, back)
    before, after = _named(one, supervoxels), _named(other, others)
    (names, first), (second_names, second) = (
        np.unique(each, return_inverse=True) for each in (before, after)
    )
    second = len(names) + second
    # What only one state has joins nothing.
    ends = np.where(before == 0, second, first), np.where(after == 0, first, second)
    label = components(len(names) + len(second_names), *ends)[ends[0]]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    first_patched, second_patched = _patched(one, other, since)
    # A segment may be called as a supervoxel of its own.
    differs = (renamed(before, known) != after) & (before != after)
    differs |= np.isin(supervoxels, np.append(first_patched, renamed(second_patched, back)))
    differs |= np.isin(others, np.append(second_patched, renamed(first_patched, known)))
    # What was taken back differs no more.
    found = [
        Difference(supervoxels[group], others[group], before[group], after[group])
        for group in groups
        if differs[group].any()
    ]
    return sorted(found, key=lambda each: int(np.maximum(each.supervoxels, each.others).min()))


def _named(found: Found, supervoxels: Ids) -> Ids:
    return np.where(supervoxels > 0, found.state.segments(supervoxels), np.uint64(0))


def _matched(
    one: Found, other: Found, since: int, known: dict[int, int], back: dict[int, int]
) -> tuple[Ids, Ids]:
    """Return the changed supervoxels that are there, by the ids of both states; 0 for none."""
    first = _there(one, _changed(one, since))
    second = _there(other, _changed(other, since))
    ids = np.append(first, _there(one, renamed(second, back)))
    others = np.append(_there(other, renamed(first, known)), second)
    # What is not there says nothing of the other state.
    own = np.append(first, second) > 0
    rows = np.unique(np.stack([ids[own], others[own]], axis=1), axis=0)
    return rows[:, 0], rows[:, 1]


def _there(found: Found, ids: Ids) -> Ids:
    """Return ids with 0 for those that are not there."""
    there: Ids = np.where((ids == LOST) | found.state.is_gone(ids), np.uint64(0), ids)
    return there


def _patched(one: Found, other: Found, since: int) -> tuple[Ids, Ids]:
    """Return the supervoxels of each state that patches of only one of the two changed."""
    states = [each.state.patches.all for each in (one, other)]
    numbers = [{patch.number for patch in patches} for patches in states]
    both = [{n for n in set.intersection(*numbers) if n <= since}] * 2
    for here, there in twins(one, other, since):
        if here.id in numbers[0] and there.id in numbers[1]:
            both = [both[0] | {here.id}, both[1] | {there.id}]
    first, second = (
        [each for each in patches if each.number not in same]
        for patches, same in zip(states, both, strict=True)
    )
    ids = [np.append(each.old, each.new) for each in first]
    others = [np.append(each.old, each.new) for each in second]
    return np.concatenate([NONE, *ids]), np.concatenate([NONE, *others])


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
    changed: Ids = np.concatenate([NONE, *map(state.numbered, current)])
    return changed
