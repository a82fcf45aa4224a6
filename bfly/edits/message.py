"""The documented messages of edits: parsed into operations, and made from a state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.lineage import replaced
from bfly.edits.operation import Operation
from bfly.edits.splits import Split
from bfly.errors import BadRequest
from bfly.validation import whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bfly.edits.state import EditState

__all__ = ["MOST_TOLD", "Save", "to_message"]

MOST_TOLD = 250_000
"""Supervoxels in a message with the state, at most: it then takes about 5 MB."""

_ID = re.compile("([0-9]+)(?::[0-9]+)?")
"""An id as text, perhaps with the region of a split."""


@dataclass(frozen=True)
class Save:
    """A client's request to save edits.

    Attributes
    ----------
    merge : tuple of tuple of int
        Lists of ids of segments or supervoxels; each list becomes one segment. A region of a split,
        ``id:region``, is read as its id.
    split : tuple of str
        See `bfly.edits.splits.Split`.
    """

    merge: tuple[tuple[int, ...], ...]
    split: tuple[str, ...]

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Save:
        """Parse the lists of a message; a missing list is empty.

        Raises
        ------
        BadRequest
            A list is not as documented.
        """
        merge, split = message.get("merge", []), message.get("split", [])
        if not isinstance(merge, list) or not all(isinstance(ids, list) for ids in merge):
            raise BadRequest("The merge is not a list of lists of ids.")
        if not isinstance(split, list):
            raise BadRequest("The split is not a list of text.")
        for text in split:
            Split.parse(text)
        lists = (tuple(dict.fromkeys(map(_id, ids))) for ids in merge)
        return cls(tuple(filter(None, lists)), tuple(split))

    @property
    def ids(self) -> set[int]:
        """All ids in the message."""
        return {
            *(number for ids in self.merge for number in ids),
            *(Split.parse(text).supervoxel for text in self.split),
        }

    def operations(
        self, state: EditState, who: str, base: int | None, absent: Collection[int] = ()
    ) -> Iterator[Operation]:
        """Yield the operations that follow a state; edits it has already are left out.

        Parameters
        ----------
        state : EditState
            Latest state.
        who : str
            Name of the author.
        base : int, optional
            The operation whose state the client has seen; the latest one unless given.
        absent : collection of int
            Ids that no supervoxel has.
        """
        base = state.position if base is None else base
        number = state.position + 1
        lists = [
            (ids[0], [s for i in ids for s in state.standing_for(i, i not in absent)])
            for ids in self.merge
            if not _is_done(state, ids)
        ]
        if lists:
            supervoxels = np.array([s for _, members in lists for s in members], np.uint64)
            sizes = np.array([len(members) for _, members in lists], np.uint32)
            owners = np.repeat(np.arange(len(sizes)), sizes)
            before, into = replaced(state.numbers(supervoxels), owners)
            yield Operation(
                number,
                "merge",
                who,
                base,
                supervoxels=supervoxels,
                sizes=sizes,
                names=np.array([name for name, _ in lists], np.uint64),
                was=state.segments(supervoxels),
                before=before,
                into=into,
                knows_before=True,
            )
            number += 1
        if splits := tuple(text for text in self.split if text not in state.splits):
            corners = [corner for s in map(Split.parse, splits) for corner in (s.first, s.last)]
            yield Operation(
                number,
                "split",
                who,
                base,
                points=np.array(corners, np.int64),
                splits=splits,
                knows_before=True,
            )


def to_message(state: EditState) -> tuple[list[list[str]], list[str]]:
    """Return a state as documented: the lists of all edited segments, and the splits.

    A list begins with the name of its segment.

    Raises
    ------
    BadRequest
        There are more than `MOST_TOLD` supervoxels.
    """
    supervoxels, segments = state.table()
    if len(supervoxels) > MOST_TOLD:
        raise BadRequest(
            f"The {len(supervoxels)} supervoxels that were edited are too many for a message; "
            f"allowed are {MOST_TOLD}."
        )
    starts = np.flatnonzero(np.append(True, segments[1:] != segments[:-1])[: len(segments)])
    ids, names = list(map(str, supervoxels.tolist())), list(map(str, segments[starts].tolist()))
    lists = []
    for name, (start, stop) in zip(names, pairwise([*starts.tolist(), len(ids)]), strict=True):
        others = [number for number in ids[start:stop] if number != name]
        if others:
            lists.append([name, *others])
    return lists, list(state.splits)


def _id(value: Any) -> int:
    """Parse an id. It may be text, since JavaScript's numbers do not hold 64 bits."""
    text = _ID.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not (text or isinstance(value, int)):
        raise BadRequest(f"The id {value} is not an integer.")
    return whole_number("id", text[1] if text else value, 1, 2**64 - 1)


def _is_done(state: EditState, ids: tuple[int, ...]) -> bool:
    """Check whether a list is one segment of the requested name already."""
    segments = state.segments(np.array(ids, np.uint64))
    return len(ids) == 1 or bool((segments == np.uint64(ids[0])).all())
