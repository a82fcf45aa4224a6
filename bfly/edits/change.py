"""A change of segments as it goes into the log: what is parted, and then what is joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.lineage import replaced
from bfly.edits.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.edits.edges import Edges
    from bfly.edits.part_names import Naming
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["Change"]

NONE: Any = np.empty(0, np.uint64)
NO_PAIRS: Any = np.empty((0, 2), np.uint64)


@dataclass
class Change:
    """Lists of supervoxels that part, and lists that become one segment.

    Attributes
    ----------
    parts : list of numpy.ndarray
        Sorted supervoxels of each part; see `Operation.parts`.
    part_names, rest_names : list of int
        Names of the parts, and of what is left of each parted segment.
    rests, parted : list of int
        For each part a supervoxel of what is left of its segment, and the name of that before.
    called : dict
        Lowest supervoxel of each part, and of what is left → its name.
    facing, edges : list of numpy.ndarray
        Pairs of supervoxels, each of shape (n, 2); see `Operation`.
    edges : list of numpy.ndarray
        Pairs of supervoxels, each of shape (n, 2).
    adopts : list of tuple of int
        See `Operation.adopts`; before all else.
    joined : list of list of int
        Supervoxels of the segments that become one.
    names : list of int
        Names of these.
    """

    parts: list[Ids] = field(default_factory=list)
    part_names: list[int] = field(default_factory=list)
    rest_names: list[int] = field(default_factory=list)
    rests: list[int] = field(default_factory=list)
    parted: list[int] = field(default_factory=list)
    called: dict[int, int] = field(default_factory=dict)
    facing: list[Ids] = field(default_factory=list)
    edges: list[Ids] = field(default_factory=list)
    adopts: list[tuple[int, int]] = field(default_factory=list)
    joined: list[list[int]] = field(default_factory=list)
    names: list[int] = field(default_factory=list)

    def join(self, supervoxels: Iterable[int], name: int) -> None:
        """Join the segments of supervoxels, each list in its order."""
        self.joined.append(list(dict.fromkeys(supervoxels)))
        self.names.append(name)

    def part(self, state: EditState, edges: Edges, part: Places, names: Naming) -> None:
        """Part a segment.

        The largest part stays what is left. Each part is held together by the edges of the
        segment within it, and by new ones where these do not reach.

        Parameters
        ----------
        state : EditState
            State before the change.
        edges : Edges
            The segment and its edges.
        part : numpy.ndarray
            A number of the part of each member.
        names : Naming
            What names the parts.
        """
        adopted = np.array([new for _, new in self.adopts], np.uint64)
        groups = _groups(edges.members, part, adopted)
        chosen = names.choose(state, groups, self.called.values())
        self.called |= {int(group[0]): name for group, name in zip(groups, chosen, strict=True)}
        *parts, rest = groups
        self.parts += parts
        self.part_names += chosen[:-1]
        self.rest_names.append(chosen[-1])
        self.rests += [int(rest[0])] * len(parts)
        self.parted += state.segments(np.repeat(rest[:1], len(parts))).tolist()
        self.facing.append(_facing(edges, rest))
        self.edges.append(_holding(edges, part))

    def operation(self, state: EditState, kind: str, who: str, **words: Any) -> Operation:
        """Return the change as the operation that follows a state."""
        supervoxels = np.array([s for each in self.joined for s in each], np.uint64)
        parts = np.concatenate([NONE, *self.parts])
        before, into = self._replaced(state, supervoxels)
        return Operation(
            state.position + 1,
            kind,
            who,
            supervoxels=supervoxels,
            sizes=np.array([len(each) for each in self.joined], np.uint32),
            names=np.array(self.names, np.uint64),
            was=np.concatenate([state.segments(supervoxels), np.array(self.parted, np.uint64)]),
            parts=parts,
            part_sizes=np.array([len(each) for each in self.parts], np.uint32),
            part_names=np.array([*self.part_names, *self.rest_names], np.uint64),
            rests=np.array(self.rests, np.uint64),
            adopts=np.array(self.adopts, np.uint64).reshape(-1, 2),
            facing=np.concatenate([NO_PAIRS, *self.facing]),
            edges=np.concatenate([NO_PAIRS, *self.edges]),
            before=before,
            into=into,
            knows_before=True,
            **{"base": state.position, **words},
        )

    def _replaced(self, state: EditState, supervoxels: Ids) -> tuple[Any, Any]:
        """Return the numbers that are replaced, and what each goes into."""
        made = len(self.part_names) + len(self.rest_names)
        lists = np.repeat(np.arange(len(self.joined)), [len(each) for each in self.joined])
        # A part may have nothing but what the segment got in this change, so the rest is asked.
        heads = np.array(self.rests, np.uint64)
        numbers = state.numbers(np.concatenate([heads, heads, supervoxels]))
        order = {head: place for place, head in enumerate(dict.fromkeys(self.rests))}
        rests = [len(self.part_names) + order[head] for head in self.rests]
        places = [np.arange(len(heads)), np.array(rests, np.int64), made + lists]
        return replaced(numbers, np.concatenate(places).astype(np.int64))


def _holding(edges: Edges, part: Places) -> Ids:
    """Return pairs that join the pieces of each part; edges within the parts leave pieces."""
    _, heads = np.unique(edges.within(part).parts(), return_index=True)
    order = np.argsort(part[heads], kind="stable")
    heads = heads[order]
    same = part[heads[1:]] == part[heads[:-1]]
    return np.stack([edges.members[heads[:-1][same]], edges.members[heads[1:][same]]], axis=1)


def _facing(edges: Edges, rest: Ids) -> Ids:
    """Return what is left of a segment where edges of any time joined it to parts."""
    ends = np.concatenate([edges.ends, edges.ever])
    is_rest = np.isin(edges.members, rest)[ends]
    facing = np.unique(edges.members[ends[is_rest & ~is_rest[:, ::-1]]])
    return np.stack([np.full(len(facing), rest[0]), facing], axis=1)


def _groups(members: Ids, part: Places, adopted: Ids) -> list[Ids]:
    """Return the members of each part; the largest part, without what was adopted, is last."""
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order], prepend=part[order[0]] - 1))
    groups = np.split(members[order], starts[1:])
    own = np.isin(members[order], adopted, invert=True).astype(np.int64)
    sizes = np.add.reduceat(own, starts).tolist()
    places = sorted(range(len(groups)), key=lambda n: (sizes[n], -int(groups[n][0])))
    return [groups[place] for place in places]
