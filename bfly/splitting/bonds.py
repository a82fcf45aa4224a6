"""What the log of edits says about a split: lists that belong together, and merges between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.components import components
from bfly.splitting.edges import Edges, merge_edges
from bfly.splitting.merge_tree import MergeTree, sums_across

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["Bonds"]

MERGED = 2.0**100
"""Times the weight of any contact: that of a merge. A list holds together as many times more."""


class Bonds(NamedTuple):
    """The edges of a segment in the log.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels.
    ends : numpy.ndarray
        int64 of shape (n, 2): the places of the ends of each edge in `members`.
    made_by : numpy.ndarray
        int64: the operation that made each edge.
    is_list : numpy.ndarray
        bool: the edge only says that both are in one list, in any order, as those of an imported
        table; others are merges.
    is_loose : numpy.ndarray
        bool: a merge of more than two, or what a split left together. These are lists, too, but
        they may have such lists in them: if points of both groups are on one, they say nothing.
    """

    members: Ids
    ends: Places
    made_by: Places
    is_list: NDArray[np.bool_]
    is_loose: NDArray[np.bool_]

    def divided(self, old: Ids, new: Ids) -> Bonds:
        """Return the bonds after supervoxels were divided: the contacts of the parts decide.

        Parameters
        ----------
        old, new : numpy.ndarray
            uint64: the supervoxels, which remain the ids of one part, and the ids of the others.
        """
        members = np.union1d(self.members, new)
        ends = np.searchsorted(members, self.members[self.ends])
        pieces = np.searchsorted(members, np.stack([old, new], axis=1))
        is_list = self.is_list | np.isin(ends, pieces).any(axis=1)
        return Bonds(
            members,
            np.concatenate([ends, pieces]),
            np.append(self.made_by, np.full(len(pieces), self.made_by.max(initial=0) + 1)),
            np.append(is_list, np.ones(len(pieces), bool)),
            np.append(self.is_loose, np.zeros(len(pieces), bool)),
        )

    def lists(self, sources: Ids, sinks: Ids) -> Places:
        """Return the list of each member, for points: the place of one of its members."""
        bound = self.is_list | self.is_loose
        lists = components(len(self.members), *self.ends[bound].T)
        if not np.isin(lists[self._places(sources)], lists[self._places(sinks)]).any():
            return lists
        return components(len(self.members), *self.ends[self.is_list].T)

    def merge_cut(
        self, inside: Ids, contacts: Edges, sources: Ids, sinks: Ids
    ) -> NDArray[np.bool_] | None:
        """Return which members go with the sources if one merge is cut.

        Lists are the nodes of a tree, whose edges are the merges. Of the merges on the way between
        the groups that is cut across whose two sides the contacts are weakest: those of the
        strongest level of weights count first. Of several, it is the last one.

        Parameters
        ----------
        inside : numpy.ndarray
            uint64, sorted: members in the box. Merges that do not touch the box are cut only if
            no other is on the way.
        contacts : Edges
            Contacts in the box.
        sources, sinks : numpy.ndarray
            uint64, the supervoxels of the points.

        Returns
        -------
        numpy.ndarray or None
            bool for each member; None if no such merge exists, since points of both groups are in
            one list, or lists of one group are connected by one of the other.
        """
        _, node = np.unique(self.lists(sources, sinks), return_inverse=True)
        is_merge = ~self.is_list
        tree = MergeTree(int(node.max()) + 1, node[self.ends[is_merge]], self.made_by[is_merge])
        way = tree.way(*(np.unique(node[self._places(ids)]) for ids in (sources, sinks)))
        if way is None or np.isin(tree.merges(way), self.made_by[self.is_loose]).any():
            return None
        position = tree.positions(way)[node]
        is_far = ~np.isin(way, node[self._places(inside)])
        spans = position[self._places(contacts.pairs)]
        sums = sums_across(len(way) - 1, spans, contacts.weights)
        last = np.lexsort([-tree.merges(way), *sums, is_far[:-1] | is_far[1:]])[0]
        result: NDArray[np.bool_] = position <= last
        return result

    def edges(self, inside: Ids, contacts: Edges, sources: Ids, sinks: Ids) -> Edges:
        """Return contacts and edges of the log for a cut between supervoxels.

        A merge has more weight than any contact, and a contact within a list more than any merge.
        Members of a list that do not touch are connected, too. If points of both groups are on a
        list, its contacts alone decide; its other edges, and those of merges of more than two, have
        less weight than all others.

        Parameters
        ----------
        inside : numpy.ndarray
            uint64, sorted: members in the box.
        contacts : Edges
            Contacts in the box.
        sources, sinks : numpy.ndarray
            uint64, the supervoxels of the points.
        """
        lists = self.lists(sources, sinks)
        a, b = lists[self._places(contacts.pairs)].T
        weights = np.where(a == b, MERGED**2, 1) * contacts.weights
        torn = np.intersect1d(lists[self._places(sources)], lists[self._places(sinks)])
        here = lists[self._places(inside)]
        order = np.argsort(here, kind="stable")
        is_next = (np.diff(here[order]) == 0) & ~np.isin(here[order][1:], torn)
        chained = np.stack([inside[order[:-1][is_next]], inside[order[1:][is_next]]], axis=1)
        least = contacts.weights.min(initial=1, where=contacts.weights > 0)
        merged = ~(self.is_list | self.is_loose)
        nothing = (np.isin(lists[self.ends[:, 0]], torn) & self.is_list) | self.is_loose
        return (
            Edges(contacts.pairs, weights, contacts.areas)
            .plus(_weighing(self.members[self.ends[merged]], MERGED))
            .plus(_weighing(chained, MERGED**2 * least))
            .plus(merge_edges(self.members[self.ends[nothing]]))
        )

    def spread(self, sides: Places, sources: Ids, sinks: Ids) -> tuple[Places, Ids]:
        """Extend the sides of a cut to whole lists.

        Parameters
        ----------
        sides : numpy.ndarray
            int64, the side of each member; 0 for those that have none yet.
        sources, sinks : numpy.ndarray
            uint64, the supervoxels of the points.

        Returns
        -------
        numpy.ndarray, numpy.ndarray
            int64, with the side of a list for all its members, if it is on one side. uint64 of
            shape (n, 2): pairs of members on the way to which others follow.
        """
        _, lists = np.unique(self.lists(sources, sinks), return_inverse=True)
        low, high = np.full(lists.max() + 1, np.iinfo(np.int64).max), np.zeros(lists.max() + 1)
        has_side = sides > 0
        np.minimum.at(low, lists[has_side], sides[has_side])
        np.maximum.at(high, lists[has_side], sides[has_side])
        result = np.where(low == high, low, 0)[lists]
        is_torn = low < high
        kept = ~(self.is_list & is_torn[lists[self.ends[:, 0]]])
        return np.where(has_side, sides, result), self.members[self.ends[kept]]

    def _places(self, ids: Ids) -> Places:
        return np.searchsorted(self.members, ids)


def _weighing(pairs: Ids, weight: float) -> Edges:
    return Edges(pairs, np.full(len(pairs), weight), np.zeros(len(pairs)))
