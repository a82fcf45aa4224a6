"""Splits by points: which supervoxels of a segment go to which side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.errors import BadRequest, ButterflyError, TooLarge
from bfly.geometry import BoundingBox, zyx
from bfly.queries.info import InfoQuery
from bfly.segments.cells import box_of_cell, cells_of
from bfly.splitting.contacts import contacts, face_means
from bfly.splitting.edges import contact_edges, merge_edges
from bfly.splitting.min_cut import SINK, Points, cut
from bfly.splitting.nearest import RADII, nearest_supervoxel
from bfly.splitting.outside import Links, assigned
from bfly.splitting.runs import joined, runs_in
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.history import History
    from bfly.edits.state import EditState
    from bfly.queries.query import Query
    from bfly.segments.segments import Segments
    from bfly.splitting.contacts import Contacts
    from bfly.splitting.nearest import Nearest
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["PointSplit", "Sides", "images_of"]

AROUND = 2000.0
"""Nanometres around the points in which supervoxels are cut; voxels if their size is unknown."""

LARGEST = 1 << 27
"""Voxels of the box around the points, at most: one of 512³."""

NEAR = 8
"""Neighbours that a part of a supervoxel outside the box may hang on."""


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
    """

    members: Ids
    sides: NDArray[np.int64]
    area: float
    points: NDArray[np.int64]


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
    images : sequence of Volume
        Images of the dataset; the first one with the voxels of the segmentation counts.
    """

    def __init__(
        self,
        volume: Volume,
        cutouts: Cutouts,
        segments: Segments | None,
        images: Sequence[Volume] = (),
    ) -> None:
        self._volume, self._cutouts, self._segments = volume, cutouts, segments
        whole = volume.level(0).place
        fits = (each for each in images if each.level(0).place == whole)
        self._image = next(fits, None)

    def sides(
        self,
        state: EditState,
        history: History,
        sources: NDArray[Any],
        sinks: NDArray[Any],
        start: int = 0,
    ) -> Sides:
        """Return the side of each supervoxel of the segment of the first source.

        Parameters
        ----------
        state : EditState
            The state whose segment it is.
        history : History
            What the log says: merges are edges.
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
        start = start or self._label(sources[0])
        members = state.segment_of(start)
        groups = [self._points(members, group) for group in (sources, sinks)]
        places = np.concatenate([group.places for group in groups])
        box = self._box(places)
        touching, inside = self._contacts(members, box)
        merges = history.segment(state, start)
        pairs = members[merges.ends]
        edges = contact_edges(touching, self._brightness(touching, box)).plus(merge_edges(pairs))
        found = cut(
            np.union1d(inside, np.concatenate([g.supervoxels for g in groups])), edges, *groups
        )
        sides = self._everywhere(members, found.supervoxels, found.sides, pairs)
        return Sides(members, sides, found.area, places)

    def _label(self, point: NDArray[Any]) -> int:
        box = BoundingBox.of_shape((1, 1, 1), zyx(np.floor(point).astype(int)))
        label = 0
        if box in self._volume.level(0).place:
            label = int(self._read(box).ravel()[0])
        if label <= 0:
            z, y, x = point.tolist()
            raise BadRequest(f"At the first source, x {x:g}, y {y:g}, z {z:g}, is no segment.")
        return label

    def nearest(self, members: Ids, point: NDArray[Any]) -> Nearest:
        """Return the voxel among supervoxels that is nearest to a point (z, y, x in voxels).

        Raises
        ------
        SplitRefused
            None is near.
        SourceError
            The voxels cannot be read.
        """
        size = np.array(self._volume.voxel_size)
        reach = np.ceil(RADII[-1] * size.mean() / size).astype(int)
        around = BoundingBox(
            zyx(np.floor(point).astype(int) - reach), zyx(np.ceil(point).astype(int) + reach + 1)
        )
        box = around & self._volume.level(0).place
        voxels = np.ascontiguousarray(self._read(box))
        place = tuple(point.tolist())
        return nearest_supervoxel(voxels, members, place, self._volume.voxel_size, box.start)

    def _points(self, members: Ids, points: NDArray[Any]) -> Points:
        """Return the supervoxels nearest to points, and where they are."""
        found = [self.nearest(members, point) for point in points]
        labels = np.array([each.supervoxel for each in found], np.uint64)
        return Points(labels, np.array([each.place for each in found], np.int64).reshape(-1, 3))

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

    def _contacts(self, members: Ids, box: BoundingBox) -> tuple[Contacts, Ids]:
        """Return where supervoxels touch in a box, and those that have voxels there."""
        parts = [
            runs_in(np.ascontiguousarray(self._read(part)), members, part.start)
            for part in self._parts(members, box)
        ]
        runs = joined(parts)
        return contacts(runs, self._volume.voxel_size), np.unique(runs.labels)

    def _parts(self, members: Ids, box: BoundingBox) -> Iterator[BoundingBox]:
        """Yield the parts of a box where the segment may be."""
        if self._segments is None:
            yield box
            return
        postings = self._segments.index.postings(members)
        for cell in cells_of(self._volume, 0, postings).tolist():
            part = box_of_cell(self._volume, 0, zyx(cell)) & box
            if part.size:
                yield part

    def _brightness(self, touching: Contacts, box: BoundingBox) -> NDArray[np.float64] | None:
        if self._image is None or not len(touching.pairs):
            return None
        image = self._cutouts.gather(Region.of(self._image, 0, box))
        return face_means(touching, np.ascontiguousarray(image), box.start)

    def _read(self, box: BoundingBox) -> Any:
        return self._cutouts.gather(Region.of(self._volume, 0, box))

    def _everywhere(
        self, members: Ids, inside: Ids, found: NDArray[np.int64], pairs: Ids
    ) -> NDArray[np.int64]:
        """Return the side of each member: those outside the box go to the nearest one."""
        sides = np.zeros(len(members), np.int64)
        sides[np.searchsorted(members, inside)] = np.where(found <= SINK, found, 0)
        if sides.all():
            return sides
        sizes = np.ones(len(members), np.int64)
        links = Links(np.empty((0, 2), np.uint64), np.empty(0))
        if self._segments is not None:
            postings = self._segments.index.postings(members)
            sizes = np.bincount(
                np.searchsorted(members, postings["label"]), postings["voxels"], len(members)
            ).astype(np.int64)
            links = _links(postings, np.array(self._volume.voxel_size))
        merges = Links(pairs, np.ones(len(pairs)))
        return assigned(members, sizes, sides, merges, links).sides


def _links(postings: NDArray[np.void], size: NDArray[np.float64]) -> Links:
    """Return each part of a supervoxel in a cell with its nearest ones."""
    from scipy.spatial import cKDTree

    middles = (postings["low"].astype(np.float64) + postings["high"]) / 2 * size
    count = min(NEAR + 1, len(postings))
    lengths, near = cKDTree(middles).query(middles, count)
    lengths, near = lengths.reshape(-1, count), near.reshape(-1, count)
    here = np.repeat(np.arange(len(postings)), count)
    labels = postings["label"]
    return Links(np.stack([labels[here], labels[near.ravel()]], axis=1), lengths.ravel())


def images_of(
    words: Sequence[Mapping[str, Any]], keywords: Callable[[Query], dict[str, Any]]
) -> Iterator[Volume]:
    """Yield the images among channels that can be opened."""
    for each in words:
        try:
            volume: Volume = keywords(InfoQuery(**each))["volume"]
        except ButterflyError:
            continue
        if volume.kind == "image":
            yield volume
