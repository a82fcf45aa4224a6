"""Facts about the labels of a region from the label index, which reads few voxels or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.cutouts.label_stats import box_of, check_work, unique
from bfly.geometry import BoundingBox, zyx
from bfly.segments.cells import box_of_cell, cells_of
from bfly.segments.inside import inside
from bfly.segments.posting import POSTING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.cutouts.cutouts import Cutouts
    from bfly.segments.segments import Segments
    from bfly.volumes.region import Region

    Values = np.ndarray[Any, np.dtype[Any]]

__all__ = ["IndexedLabels"]

NOWHERE = BoundingBox((0, 0, 0), (0, 0, 0))


class IndexedLabels(NamedTuple):
    """The labels of a region whose channel has an index.

    Parameters
    ----------
    cutouts : Cutouts
        Reads the voxels that the index leaves open.
    region : Region
        The region.
    segments : Segments
        The segments of its channel, after the edits of the region.
    """

    cutouts: Cutouts
    region: Region
    segments: Segments

    @property
    def is_whole(self) -> bool:
        """Whether the region has all voxels of mip 0."""
        level = self.region.level
        return level.mip == 0 and level.whole in self.region.local

    def parts(self) -> Iterator[Values] | None:
        """Return an iterator of the labels but 0, in parts; a label may be in several of them.

        None if it takes less to read the voxels, or if they are of a coarser mip: a label of
        mip 0 may be missing there.

        Raises
        ------
        TooLarge
            More voxels would have to be read than `check_work` allows.
        """
        level, dtype = self.region.level, self.region.dtype
        if self.is_whole:
            return (part["label"].astype(dtype) for part in self.segments.by_size())
        box = self.region.local & level.whole
        index = self.segments.index
        size = index.stored.summary.postings * POSTING.itemsize
        if level.mip or size > box.size * dtype.itemsize:
            return None
        found = inside(index.parts(), box)
        regions = [self.region.part(cell.shift(level.origin)) for cell in found.cells]
        check_work(*regions)
        edits = self.region.edits
        labels = edits.segments(found.labels) if edits else found.labels
        return self._joined(labels.astype(dtype), regions)

    def _joined(self, labels: Values, regions: list[Region]) -> Iterator[Values]:
        yield labels
        for region in regions:
            values = unique(self.cutouts, region)
            yield values[values != 0]

    def box(self, label: int) -> BoundingBox:
        """Return the smallest box around a label in the region; of size 0 if it has none.

        Raises
        ------
        TooLarge
            More voxels would have to be read than `check_work` allows.
        """
        ids, edits = np.array([label], np.uint64), self.region.edits
        is_there = edits is None or bool(edits.is_name(ids)[0])
        postings = self.segments.index.postings(
            self.segments.members(label)[: None if is_there else 0]
        )
        if not len(postings):
            return NOWHERE
        level = self.region.level
        first = np.array(self.region.volume.level(0).origin)
        low = postings["low"].min(axis=0).astype(np.int64) + first
        high = postings["high"].max(axis=0).astype(np.int64) + first
        known = BoundingBox(zyx(low // level.factor), zyx(-(-high // level.factor)))
        if level.mip == 0 and known in self.region.box:
            return known
        return self._read_box(label, known & self.region.box, postings)

    def _read_box(self, label: int, known: BoundingBox, postings: Any) -> BoundingBox:
        """Return the box of a label from its cells, the outer ones first: most others are in it."""
        volume, mip = self.region.volume, self.region.level.mip
        cells = [box_of_cell(volume, mip, zyx(cell)) for cell in cells_of(volume, mip, postings)]
        parts = [cell & known for cell in cells]
        parts = sorted((part for part in parts if part.size), key=lambda part: _depth(part, known))
        check_work(*map(self.region.part, parts))
        found: BoundingBox | None = None
        for part in parts:
            if found is None or part not in found:
                own = box_of(self.cutouts, self.region.part(part), label)
                found = found.joined(own) if found and own else found or own
        return found or NOWHERE


def _depth(part: BoundingBox, whole: BoundingBox) -> int:
    """Return the distance of a part of a box from the next side of the box."""
    ahead = (a - b for a, b in zip(part.start, whole.start, strict=True))
    behind = (b - a for a, b in zip(part.stop, whole.stop, strict=True))
    return min(*ahead, *behind)
