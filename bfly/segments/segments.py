"""Segments of a channel: the labels of its index, joined as the edits say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from bfly.segments.index import SIZE
from bfly.tables.columns import among

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState
    from bfly.segments.index import Index
    from bfly.segments.postings import Postings
    from bfly.segments.search import Wanted

    Ids = NDArray[np.uint64]

__all__ = ["Segments", "members_of", "patched_of"]

BATCH = 1 << 16
"""Labels that are read at once from the list by size."""


def members_of(edits: EditState | None, segment: int) -> Ids:
    """Return the supervoxels of a segment after edits, in ascending order."""
    return np.array([segment], np.uint64) if edits is None else edits.members(segment)


def patched_of(edits: EditState | None) -> Ids:
    """Return the segments that patches took voxels from, or gave some; sorted."""
    if edits is None or not edits.patches:
        return np.empty(0, np.uint64)
    supervoxels = np.union1d(edits.patches.old, edits.patches.new)
    return np.unique(edits.segments(supervoxels[supervoxels > 0]))


class Segments:
    """What is known of the segments after an operation.

    Parameters
    ----------
    index : Postings
        Index of the labels, which are supervoxels, after the patches of the edits.
    edits : EditState, optional
        The edits that apply.
    earlier : Segments, optional
        Segments of the same index after an earlier operation, whose look-ups are not repeated.
    """

    def __init__(
        self, index: Postings, edits: EditState | None = None, earlier: Segments | None = None
    ) -> None:
        self.index = index
        self.edits = edits
        self._sizes: StoredSizes = earlier._sizes if earlier else StoredSizes(index.stored)
        self._edited: NDArray[np.void] | None = None
        self._supervoxels = np.empty(0, np.uint64)
        self._looking = threading.Lock()

    def of(self, ids: Ids) -> NDArray[np.void]:
        """Return a row for each id that has voxels, in ascending order.

        Parameters
        ----------
        ids : numpy.ndarray
            uint64. The id of a supervoxel that is part of a segment stands for the segment.

        Returns
        -------
        numpy.ndarray
            `POSTING`; the label is the id that was given.
        """
        ids = np.unique(ids)
        if self.edits is None:
            return self.index.of(ids)
        names = self.names_of(ids)
        rows = self.index.of_groups(*self._members_of(np.unique(names)))
        there = among(names, rows["label"])
        found: NDArray[np.void] = rows[np.searchsorted(rows["label"], names[there])]
        found["label"] = ids[there]
        return found

    def members(self, id: int) -> Ids:  # noqa: A002
        """Return the supervoxels of a segment, in ascending order."""
        return members_of(self.edits, id)

    def counts(self, ids: Ids) -> NDArray[np.int64]:
        """Return how many supervoxels each id stands for, with those that have no voxels."""
        if self.edits is None:
            return np.ones(len(ids), np.int64)
        names, place = np.unique(self.names_of(ids), return_inverse=True)
        _, groups = self._members_of(names)
        return np.bincount(np.searchsorted(names, groups), minlength=len(names))[place]

    def names_of(self, ids: Ids) -> Ids:
        """Return the name of the segment that each id stands for."""
        if self.edits is None:
            return ids
        names: Ids = np.where(self.edits.is_name(ids), ids, self.edits.segments(ids))
        return names

    def _members_of(self, names: Ids) -> tuple[Ids, Ids]:
        """Return the supervoxels of all segments, and the name of the segment of each of them."""
        assert self.edits is not None
        edited = self.edits.knows(names) | among(names, np.sort(self.edits.named(names)[1]))
        alone, edited_names = names[~edited], names[edited]
        parts = [self.edits.members(one) for one in edited_names.tolist()]
        groups = np.repeat(edited_names, [len(part) for part in parts])
        return np.concatenate([alone, *parts]), np.concatenate([alone, groups])

    def largest(self, start: int, count: int, wanted: Wanted | None = None) -> NDArray[np.void]:
        """Return a page of the segments, the largest first.

        Parameters
        ----------
        start, count : int
            The first place of the page in that order, and its length.
        wanted : Wanted, optional
            Of these segments alone.

        Returns
        -------
        numpy.ndarray
            `POSTING`, at most `count` rows.
        """
        ids = self.sizes(start, count, wanted)["label"]
        rows = self.of(ids)
        return rows[np.searchsorted(rows["label"], ids)]

    def sizes(self, start: int, count: int, wanted: Wanted | None = None) -> NDArray[np.void]:
        """Return the ids and sizes of a page, as `largest`; no other facts are read.

        Returns
        -------
        numpy.ndarray
            `SIZE`, at most `count` rows.
        """
        pages = [np.empty(0, SIZE)]
        left, skip = count, start
        few = self._few(wanted) if wanted else None
        for some in [few] if few is not None else self.by_size():
            found = some[wanted.has(some["label"])] if wanted else some
            page = found[skip : skip + left]
            skip, left = max(0, skip - len(found)), left - len(page)
            pages.append(page)
            if not left:
                break
        return np.concatenate(pages)

    @property
    def count(self) -> int:
        """Number of the segments that have voxels."""
        edited = self._edited_segments()
        stored = self.index.stored.summary.labels
        return stored - self._sizes.there(self._supervoxels) + len(edited)

    def _few(self, wanted: Wanted) -> NDArray[np.void] | None:
        """Return a row of `SIZE` for each segment that may be wanted, the largest first.

        None if the list of all sizes is read in less time.
        """
        rows = self.index.stored.among(wanted)
        if rows is None:
            return None
        edited = self._edited_segments()
        rows = rows[~among(rows["label"], self._supervoxels)]
        sizes = np.empty(len(rows) + len(edited), SIZE)
        for field in ("label", "voxels"):
            sizes[field] = np.concatenate([rows[field], edited[field]])
        return sizes[np.lexsort((sizes["label"], ~sizes["voxels"]))]

    def by_size(self) -> Iterator[NDArray[np.void]]:
        """Yield `SIZE` of all segments that have voxels, the largest first, in parts."""
        edited, stored = self._edited_segments(), self.index.stored
        # A patch may fill a channel that had no labels.
        for start in range(0, max(1, stored.summary.labels), BATCH):
            sizes = stored.largest(start, start + BATCH)
            kept = sizes[~among(sizes["label"], self._supervoxels)]
            least = sizes["voxels"][-1] if start + BATCH < stored.summary.labels else 0
            joins = edited["voxels"] >= least
            some = np.empty(len(kept) + int(joins.sum()), SIZE)
            for field in ("label", "voxels"):
                some[field] = np.concatenate([kept[field], edited[field][joins]])
            edited = edited[~joins]
            yield some[np.argsort(~some["voxels"], kind="stable")]

    def _edited_segments(self) -> NDArray[np.void]:
        """Return `SIZE` for each segment that is not a stored label as it is in the index."""
        with self._looking:
            if self._edited is None:
                self._supervoxels, names = self._edited_supervoxels()
                sizes = self._sizes.of(self._supervoxels).astype(np.int64)
                sizes += self.index.growth(self._supervoxels)
                self._edited = _added(names, sizes.astype(np.uint64))
            return self._edited

    def _edited_supervoxels(self) -> tuple[Ids, Ids]:
        """Return all supervoxels that edits name or patches change, by id, and their segments."""
        changed = self.index.changed
        if self.edits is None:
            return changed, changed
        supervoxels, names = self.edits.table()
        # A supervoxel that no operation names belongs to the segment of the same name.
        alone = np.union1d(names, changed)
        alone = alone[~self.edits.knows(alone)]
        supervoxels, names = (np.concatenate([ids, alone]) for ids in (supervoxels, names))
        order = np.argsort(supervoxels)
        return supervoxels[order], names[order]


class StoredSizes:
    """Voxels of the stored labels that edits name: an index is asked for each of them once.

    Parameters
    ----------
    index : Index
        The index.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known = np.empty(0, SIZE)

    def of(self, supervoxels: Ids) -> NDArray[np.uint64]:
        """Return the voxels of supervoxels, sorted by id; 0 where there are none."""
        known = self._known
        new = supervoxels[~among(supervoxels, known["label"])]
        if len(new):
            added = np.zeros(len(new), SIZE)
            added["label"] = new
            rows = self._index.of(new)
            added["voxels"][np.searchsorted(new, rows["label"])] = rows["voxels"]
            known = np.concatenate([known, added])
            self._known = known = known[np.argsort(known["label"], kind="stable")]
        voxels: NDArray[np.uint64] = known["voxels"][np.searchsorted(known["label"], supervoxels)]
        return voxels

    def there(self, supervoxels: Ids) -> int:
        """Return how many supervoxels, sorted by id, have voxels."""
        return int(np.count_nonzero(self.of(supervoxels)))


def _added(names: Ids, voxels: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return `SIZE` for each name that has voxels."""
    order = np.argsort(names, kind="stable")
    labels, first = np.unique(names[order], return_index=True)
    sizes = np.empty(len(labels), SIZE)
    sizes["label"] = labels
    sizes["voxels"] = np.add.reduceat(voxels[order], first) if len(first) else 0
    return sizes[sizes["voxels"] > 0]
