"""Giving voxels other supervoxels: painting, and parting a segment within supervoxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.change import Change
from bfly.edits.part_names import Names
from bfly.edits.patch_runs import packed_changes
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.edits.edges import Edges
    from bfly.edits.history import History
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox

    Ids = NDArray[np.uint64]
    Mask = NDArray[np.bool_]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Fresh", "adopting", "cut_inside", "given", "painted", "patch_words", "touch"]


class Fresh:
    """Ids for new supervoxels.

    Parameters
    ----------
    first : int
        An id above all labels of the channel.
    last : int
        The largest id that voxels can hold and that is below all root ids.
    used : callable, optional
        Returns the largest id that a patch of any line of the channel made.
    """

    def __init__(self, first: int, last: int, used: Callable[[], int] = int) -> None:
        self.first, self.last, self._used = first, last, used

    def settled(self) -> Fresh:
        """Return the same ids without asking for those of other lines again.

        It is meant for many patches in one transaction; raises as `used`.
        """
        return Fresh(max(self.first, self._used() + 1), self.last)

    def take(self, state: EditState, count: int) -> Ids:
        """Return ids that nothing ever had in a state or before it, and no patch of other lines.

        Raises
        ------
        BadRequest
            There are none left.
        DatabaseError
            The log cannot be read.
        """
        start = max(self.first, state.patches.last + 1, self._used() + 1)
        while start + count - 1 <= self.last:
            ids = np.arange(start, start + count, dtype=np.uint64)
            used = state.is_used(ids)
            if not used.any():
                return ids
            start += int(np.flatnonzero(used)[-1]) + 1
        raise BadRequest(
            f"There is no id left for a new supervoxel: allowed are {self.first} to {self.last}."
        )


def painted(
    state: EditState,
    box: BoundingBox,
    labels: Voxels,
    mask: Mask,
    into: int | None,
    fresh: Fresh,
    who: str,
    **words: Any,
) -> Operation | None:
    """Return the operation that gives voxels to a segment; None if all are in it already.

    The voxels get the id of a new supervoxel of that segment.

    Parameters
    ----------
    state : EditState
        Latest state.
    box : BoundingBox
        Voxels of mip 0, counted from the channel's first one.
    labels : numpy.ndarray
        The supervoxels of the box in that state.
    mask : numpy.ndarray
        bool of the same shape: the voxels.
    into : int or None
        Id of a segment or a supervoxel; 0 for the background, None for a new segment.
    fresh : Fresh
        Ids for the new supervoxel.
    who : str
        The author.
    **words
        Further fields of the operation.

    Raises
    ------
    BadRequest
        No id is left for the new supervoxel.
    """
    targets = state.standing_for(into) if into else []
    old = np.unique(labels[mask]).astype(np.uint64)
    if into is not None:
        owners = state.segments(old) if into else old
        name = state.segments(np.array(targets[:1], np.uint64)) if into else np.zeros(1, np.uint64)
        kept = old[(owners != name) | (old == 0) & (into > 0)]
        if len(kept) < len(old):
            mask = mask & np.isin(labels.astype(np.uint64), kept)
            old = kept
    if not len(old):
        return None
    new = 0 if into == 0 else int(fresh.take(state, 1)[0])
    after = labels.copy()
    after[mask] = new
    words |= patch_words(box, labels, after)
    return given(state, old, new, targets[:1]).operation(state, "patch", who, **words)


def given(state: EditState, old: Ids, new: int, owners: list[int]) -> Change:
    """Return the change that gives voxels to a new supervoxel, or to the background.

    Parameters
    ----------
    state : EditState
        State before.
    old : numpy.ndarray
        uint64: what the voxels have.
    new : int
        What they get; 0 for the background.
    owners : list of int
        A supervoxel of the segment that gets `new`; none for a segment of its own.
    """
    change = Change(adopts=[(one, new) for one in owners])
    if new and not owners:
        change.join([new], new)
    touch(change, state, [*old[old > 0].tolist(), *owners])
    return change


def cut_inside(
    state: EditState,
    history: History,
    box: BoundingBox,
    labels: Voxels,
    mask: Mask,
    part: Ids,
    fresh: Fresh,
    who: str,
    **words: Any,
) -> Operation:
    """Return the operation that parts a segment, also within supervoxels.

    Parameters
    ----------
    state, box, labels, fresh, **words
        As those of `painted`.
    who : str
        The author.
    history : History
        What the log says.
    mask : numpy.ndarray
        bool of the shape of `labels`: voxels of the segment that go to the part. Each of their
        supervoxels keeps its other voxels, and its id for these.
    part : numpy.ndarray
        uint64: supervoxels of the segment that go to the part as a whole; or none.

    Raises
    ------
    BadRequest
        No id is left, the supervoxels are not in one segment, or there is only one part.
    """
    old = np.unique(labels[mask])
    new = fresh.take(state, len(old))
    after = labels.copy()
    after[mask] = new.astype(labels.dtype)[np.searchsorted(old, labels[mask])]
    old = old.astype(np.uint64)
    change = Change(adopts=list(zip(old.tolist(), new.tolist(), strict=True)))
    edges = adopting(state, history, int(old[0]), np.stack([old, new], axis=1))
    members = edges.members
    if not np.isin(np.union1d(old, part), members).all():
        raise BadRequest("The supervoxels are not all in one segment.")
    sides = np.isin(members, np.union1d(part, new)).astype(np.int64)
    if sides.all():
        raise BadRequest("There is only one part, the whole segment.")
    change.part(state, edges, sides, Names(max(fresh.first, int(new[-1]) + 1)))
    words |= patch_words(box, labels, after)
    return change.operation(state, "patch", who, **words)


def adopting(state: EditState, history: History, one: int, adopts: Ids) -> Edges:
    """Return the segment of a supervoxel and its edges, once it has got new supervoxels.

    Parameters
    ----------
    state, history
        As those of `cut_inside`.
    one : int
        The supervoxel.
    adopts : numpy.ndarray
        uint64 of shape (n, 2): see `Operation.adopts`.
    """
    members = np.union1d(state.segment_of(one), adopts[:, 1])
    edges = history.edges(members, state.numbers(np.array([one], np.uint64)).tolist())
    return edges.linked(np.searchsorted(members, adopts), state.position + 1)


def touch(change: Change, state: EditState, supervoxels: list[int]) -> None:
    """Let a change make new segments of those whose voxels it changes, as they are."""
    ids = np.array(supervoxels, np.uint64)
    names, first = np.unique(state.segments(ids), return_index=True)
    for name, one in zip(names.tolist(), ids[first].tolist(), strict=True):
        change.join([one], name)


def patch_words(box: BoundingBox, before: Voxels, after: Voxels) -> dict[str, Any]:
    """Return the fields of an operation that changes voxels."""
    pairs, runs = packed_changes(before, after)
    return {"box": np.array([*box.start, *box.stop]), "pairs": pairs, "runs": runs}
