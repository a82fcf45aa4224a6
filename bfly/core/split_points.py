"""Splits by points: which supervoxels of a segment go to which side."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.core.near_points import NearPoints
from bfly.core.split_bonds import bonds_of
from bfly.core.split_everywhere import everywhere
from bfly.core.split_inside import inside_of
from bfly.errors import BadRequest, TooLarge
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.segments.cells import box_of_cell, cells_of
from bfly.segments.posting import CELL
from bfly.splitting.contacts import contacts
from bfly.splitting.edges import imported_edges
from bfly.splitting.min_cut import SINK, SOURCE, cut
from bfly.splitting.refusal import Reason, SplitRefused
from bfly.splitting.runs import joined, runs_in
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.core.split_inside import Inside
    from bfly.core.tissue import Tissue
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.history import History
    from bfly.edits.state import EditState
    from bfly.edits.stored_edges import StoredEdges
    from bfly.segments.segments import Segments
    from bfly.splitting.nearest import Nearest
    from bfly.splitting.runs import SegmentRuns
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["PointSplit", "Sides"]

AROUND = 2000.0
"""Nanometres around the points in which supervoxels are cut; voxels if their size is unknown."""

LARGEST = 1 << 27
"""Voxels of the box around the points, at most: one of 512³."""


class Sides(NamedTuple):
    """A segment in two parts.

    Parameters
    ----------
    members, sides : numpy.ndarray
        uint64, the sorted supervoxels of the segment; int64, `SOURCE` or `SINK` for each.
    area : float
        nm² of contact that is cut.
    points : numpy.ndarray
        int64 of shape (n, 3): z, y, x in voxels of mip 0 of the dataset, sources first.
    inside : Inside, optional
        The supervoxels that are split, if there are any. `members` have the side that keeps the id.
    """

    members: Ids
    sides: NDArray[np.int64]
    area: float
    points: NDArray[np.int64]
    inside: Inside | None = None


class PointSplit:
    """Finds the parts of a segment for two groups of points.

    Parameters
    ----------
    volume : Volume
        The segmentation.
    cutouts : Cutouts
        Reads voxels.
    segments : Segments, optional
        Where the supervoxels are, if the label index is there.
    tissue : Tissue
        What other channels of the dataset show.
    stored : callable, optional
        Returns the edges of an imported graph between supervoxels.

    Attributes
    ----------
    origin : tuple of int
        The channel's first voxel (z, y, x) in the dataset.
    """

    def __init__(
        self,
        volume: Volume,
        cutouts: Cutouts,
        segments: Segments | None,
        tissue: Tissue,
        stored: Callable[[Ids], StoredEdges] | None = None,
    ) -> None:
        self._tissue, self._stored = tissue, stored
        self._volume, self._cutouts, self._segments = volume, cutouts, segments
        self.origin = volume.level(0).origin
        self._state: EditState | None = None
        self._inside: Inside | None = None
        self._near = NearPoints(volume, self._read)

    def sides(
        self,
        state: EditState,
        history: History,
        sources: NDArray[Any],
        sinks: NDArray[Any],
        start: int = 0,
    ) -> Sides:
        """Return the side of each supervoxel of the segment of the first source.

        If points of both groups are on the same supervoxel, that is split, too.

        Parameters
        ----------
        state : EditState
            The state whose segment it is.
        history : History
            What the log says: see `Bonds`.
        sources, sinks : numpy.ndarray
            float64 of shape (n, 3): z, y, x in voxels of mip 0 of the dataset.
        start : int
            A supervoxel of the segment; 0 for the one at the first source.

        Raises
        ------
        SplitRefused
            The segment cannot be split with these points.
        BadRequest
            No segment is at the first source.
        TooLarge
            The points are too far apart.
        MissingLibrary
            SciPy is not installed.
        SourceError
            The voxels cannot be read.
        """
        self._state, self._inside = state, None
        try:
            return self._sides(state, history, sources, sinks, start)
        except SplitRefused as refused:
            if refused.reason != Reason.SAME_SUPERVOXEL:
                raise
            start = start or self._label(sources[0])
            members = state.segment_of(start)
            self._inside = self._found_inside(members, refused.supervoxels, sources, sinks)
        found, inside = self._sides(state, history, sources, sinks, start), self._inside
        kept = ~np.isin(found.members, inside.new)
        return found._replace(members=found.members[kept], sides=found.sides[kept], inside=inside)

    def _sides(
        self,
        state: EditState,
        history: History,
        sources: NDArray[Any],
        sinks: NDArray[Any],
        start: int,
    ) -> Sides:
        start = start or self._label(sources[0])
        members = state.segment_of(self._former(start))
        if self._inside is not None:
            members = np.union1d(members, self._inside.new)
        groups = [self._near.points(members, group) for group in (sources, sinks)]
        places = np.concatenate([group.places for group in groups])
        box = self._box(places)
        runs = self._runs(members, box)
        touching, inside = contacts(runs, self._volume.voxel_size), np.unique(runs.labels)
        near = self._tissue.edges(touching, runs, box)
        bonds = bonds_of(history, state, self._former(start))
        if self._inside is not None:
            bonds = bonds.divided(self._inside.old, self._inside.new)
        points = [group.supervoxels for group in groups]
        is_source = bonds.merge_cut(inside, near, *points)
        if is_source is not None:
            ends = is_source[np.searchsorted(members, near.pairs)]
            area = float(near.areas[ends[:, 0] != ends[:, 1]].sum())
            return Sides(members, np.where(is_source, SOURCE, SINK), area, places)
        edges = bonds.edges(inside, near, *points)
        if self._stored is not None:
            imported = self._stored(inside)
            edges = edges.plus(imported_edges(imported.pairs, imported.weights, edges.weights))
        found = cut(
            np.union1d(inside, np.concatenate(points)),
            edges,
            *groups,
            may_be_points=self._inside is not None,
        )
        size = self._volume.voxel_size
        sides = everywhere(members, found, bonds, points, self._segments, size)
        return Sides(members, sides, found.area, places)

    def _found_inside(
        self,
        members: Ids,
        supervoxels: Sequence[int],
        sources: NDArray[Any],
        sinks: NDArray[Any],
    ) -> Inside:
        groups = [self._near.points(members, group).places for group in (sources, sinks)]
        box, whole = self._box(np.concatenate(groups)), self._volume.level(0).place
        size = self._volume.voxel_size
        extent = self._extent(np.array(supervoxels, np.uint64))
        return inside_of(
            supervoxels, groups, box, whole, size, self._read, self._tissue.image, extent
        )

    def _extent(self, supervoxels: Ids) -> BoundingBox | None:
        """Return a box that has all voxels of supervoxels; None without a label index."""
        if self._segments is None or self._state is None:
            return None
        patches = self._state.patches
        postings = self._segments.index.postings(patches.origins(supervoxels))
        boxes = [patch.box for patch in patches.naming(supervoxels)]
        if len(postings):
            low, high = postings["low"].min(axis=0), postings["high"].max(axis=0)
            boxes.append(BoundingBox(zyx(low), zyx(high)))
        if not boxes:
            return None
        joined = reduce(BoundingBox.joined, boxes)
        return joined.shift(self.origin) & self._volume.level(0).place

    def _former(self, label: int) -> int:
        """Return the supervoxel that a piece is of, or a label as it is."""
        if self._inside is not None and label in self._inside.new:
            return int(self._inside.old[np.searchsorted(self._inside.new, np.uint64(label))])
        return label

    def _label(self, point: NDArray[Any]) -> int:
        box = BoundingBox.of_shape((1, 1, 1), zyx(np.floor(point).astype(int)))
        label = 0
        if box in self._volume.level(0).place:
            label = int(self._read(box).ravel()[0])
        if label <= 0:
            z, y, x = point.tolist()
            raise BadRequest(f"At the first source, x {x:g}, y {y:g}, z {z:g}, is no segment.")
        return label

    def nearest(self, state: EditState, members: Ids, point: NDArray[Any]) -> Nearest:
        """Return the voxel among supervoxels of a state that is nearest to a point.

        Parameters
        ----------
        state : EditState
            The state, for its patches.
        members : numpy.ndarray
            uint64, sorted: the supervoxels.
        point : numpy.ndarray
            float64: z, y, x in voxels of mip 0 of the dataset.

        Raises
        ------
        SplitRefused
            None is near.
        SourceError
            The voxels cannot be read.
        """
        self._state, self._inside = state, None
        return self._near.nearest(members, point)

    def _box(self, places: NDArray[np.int64]) -> BoundingBox:
        around = np.ceil(AROUND / np.array(self._volume.voxel_size)).astype(int)
        while True:
            low, high = places.min(axis=0) - around, places.max(axis=0) + around + 1
            box = BoundingBox(zyx(low), zyx(high)) & self._volume.level(0).place
            if box.size <= LARGEST:
                return box
            if not around.any():
                raise TooLarge(
                    f"The points are in a box of {box.size} voxels; allowed are {LARGEST}. Place "
                    "them closer to where the segment is to be parted."
                )
            around = around * 3 // 4

    def _runs(self, members: Ids, box: BoundingBox) -> SegmentRuns:
        """Return the voxels of the segment in a box."""
        return joined(
            runs_in(np.ascontiguousarray(self._read(part)), members, part.start)
            for part in self._parts(members, box)
        )

    def _parts(self, members: Ids, box: BoundingBox) -> Iterator[BoundingBox]:
        """Yield the parts of a box where the segment may be."""
        if self._segments is None:
            yield box
            return
        assert self._state
        patches, first = self._state.patches, self._volume.level(0).origin
        postings = self._segments.index.postings(patches.origins(members))
        cells = set(map(zyx, cells_of(self._volume, 0, postings)))
        for patch in patches.naming(members):
            cells.update(indexes(patch.box.shift(first).in_tiles(CELL)))
        for cell in sorted(cells):
            part = box_of_cell(self._volume, 0, cell) & box
            if part.size:
                yield part

    def _read(self, box: BoundingBox) -> Any:
        """Return the supervoxels of a box, with patches, and with the pieces that were found."""
        assert self._state
        labels = self._cutouts.gather(Region.of(self._volume, 0, box, self._state.patched))
        return labels if self._inside is None else self._inside.shown(labels, box)
