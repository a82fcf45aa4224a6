"""Answers about segments: their size, their place, and their synapses."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from bfly.core.channels import on_current_files
from bfly.core.patched_indexes import PatchedIndexes
from bfly.core.sparse_volumes import SparseVolume
from bfly.errors import Absent, BadRequest
from bfly.segments.background import BackgroundIndexes
from bfly.segments.search import Wanted
from bfly.segments.segments import Segments
from bfly.segments.skeletons import SkeletonStore
from bfly.segments.store import Indexes
from bfly.tables.writing import write_rows
from bfly.volumes.stored_layers import offered_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from bfly.connectome.connectome import Connectome
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.state import EditState
    from bfly.keywords import RUNTIME
    from bfly.queries.query import Query
    from bfly.queries.segments import SegmentsQuery, SparseVolumeQuery
    from bfly.segments.index import Index
    from bfly.tables.columns import Columns
    from bfly.volumes.volume import Volume

__all__ = ["SegmentAnswers"]

CUBIC_MICROMETRE, MICROMETRE = 1e9, 1e3
"""In nanometres."""

SYNAPSES = "synapses_out", "synapses_in"

LATEST = 64
"""Channels whose segments after their edits are kept in memory: 24 bytes for each edited label."""


class SegmentAnswers:
    """Answers requests for segments from the label index of their channel.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the folder of the indexes and its size.
    cutouts : Cutouts
        Reads voxels.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    connectome : Connectome
        Has the synapses.

    Attributes
    ----------
    indexes : BackgroundIndexes or None
        The label indexes.
    skeletons : SkeletonStore or None
        The skeletons that are kept.
    """

    def __init__(
        self,
        runtime: RUNTIME,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        connectome: Connectome,
    ) -> None:
        folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
        self.indexes = BackgroundIndexes(Indexes(folder, size)) if folder and size else None
        self._patched = PatchedIndexes(cutouts, folder, size)
        self.skeletons = SkeletonStore(folder, size) if folder and size else None
        self._cutouts = cutouts
        self._keywords = keywords
        self._connectome = connectome
        self._latest: dict[tuple[str, str], Segments] = {}
        self._looking = threading.Lock()

    def has_segments(self, volume: Volume) -> bool:
        """Return whether `segments` can be asked for a channel, now or once its index is there."""
        is_labels = volume.kind == "segmentation"
        return is_labels and self.indexes is not None and self.indexes.can_be_there(volume)

    def prepare(self, volume: Volume) -> None:
        """Start to build the label index of a channel, if it is built on request."""
        if self.indexes:
            self.indexes.start(volume)

    def indexed(self, volume: Volume, state: EditState | None) -> Segments | None:
        """Return the segments of a channel after its edits if its label index is there.

        Raises
        ------
        SourceError
            The index is damaged.
        """
        is_labels = volume.kind == "segmentation"
        index = self.indexes.ready(volume) if self.indexes and is_labels else None
        return self._after(index, volume, state) if index else None

    def facts(self, volume: Volume) -> dict[str, Any] | None:
        """Return what there is of the segments of a channel; None if it has none.

        ``index`` is the percentage of the index that is built, or None before it is needed.
        ``meshes`` and ``skeletons`` are ``stored`` or ``computed``, or None.
        """
        stored = offered_layers(volume)
        has_segments = self.has_segments(volume)
        if volume.kind != "segmentation" or not (has_segments or stored):
            return None
        percent = self.indexes.percent(volume) if self.indexes and has_segments else None
        made = "computed" if has_segments else None
        return {
            "can_be_listed": has_segments,
            "index": percent,
            "meshes": "stored" if "mesh" in stored else made,
            "skeletons": "stored"
            if "skeletons" in stored
            else made
            if find_spec("scipy")
            else None,
        }

    def answer(self, query: SegmentsQuery) -> bytes:
        """Return the rows that a request asks for.

        Raises
        ------
        BadRequest
            The channel is an image.
        Absent
            No index is kept for the channel, or an id has no voxels.
        Unfinished
            The index is being built.
        TooLarge
            The channel is too large to build its index on a request.
        SourceError, DatabaseError
            The channel, its edits, or its synapses cannot be read.
        """
        batch = on_current_files(query, self._keywords, self._columns)
        return b"".join(write_rows(query.format, [batch], "number"))

    def sparse_volume(self, query: SparseVolumeQuery) -> Iterator[bytes]:
        """Return an iterator of the voxels of a segment as runs; raises as `answer`."""
        query.update_source(self._keywords(query))
        segments = self.segments(query.volume, query.state)
        return SparseVolume(self._cutouts, query, segments).parts()

    def segments(self, volume: Volume, state: EditState | None) -> Segments:
        """Return the segments of a channel after its edits; raises as `answer`."""
        if volume.kind != "segmentation":
            raise BadRequest(f"{volume.spec.path} is an image; only a segmentation has segments.")
        if self.indexes is None:
            raise Absent("pyramid.size is 0, so no label index is kept.")
        return self._after(self.indexes.of(volume), volume, state)

    def _after(self, index: Index, volume: Volume, state: EditState | None) -> Segments:
        if state is None:
            return Segments(index)
        patched = self._patched.of(index, volume, state)
        with self._looking:
            key = index.folder, state.line
            latest = self._latest.pop(key, None)
            if latest is not None and latest.index.stored is not index:
                latest = None
            if latest is None or latest.edits is not state:
                latest = Segments(patched, state, latest)
            self._latest[key] = latest
            if len(self._latest) > LATEST:
                del self._latest[next(iter(self._latest))]
        return latest

    def _columns(self, query: SegmentsQuery) -> Columns:
        volume = query.volume
        segments = self.segments(volume, query.state)
        if query.wanted:
            rows = segments.of(np.array(query.wanted, np.uint64))
            if missing := set(query.wanted) - set(rows["label"].tolist()):
                raise Absent(f"There is no segment {min(missing)} in {volume.spec.path}.")
        else:
            rows = segments.largest(query.start, query.count, self._wanted(query))
        ids: NDArray[np.uint64] = np.ascontiguousarray(rows["label"])
        columns: Columns = {"id": ids, "voxels": rows["voxels"].astype(np.uint64)}
        if volume.has_voxel_size:
            voxel = np.prod(volume.voxel_size) / CUBIC_MICROMETRE
            columns["volume_um3"] = rows["voxels"] * voxel
        origin = volume.level(0).origin
        for name, field in (("", "point"), ("_low", "low"), ("_high", "high")):
            for axis in (2, 1, 0):
                place = rows[field][:, axis].astype(np.int64) + origin[axis]
                columns[f"{'zyx'[axis]}{name}"] = place
        columns["supervoxels"] = segments.counts(ids)
        columns |= self._lengths(volume, segments, ids)
        return columns | self._synapses(query, segments.names_of(ids))

    def _lengths(self, volume: Volume, segments: Segments, ids: NDArray[np.uint64]) -> Columns:
        """Return what the skeletons that are kept tell of segments; the rest is masked."""
        store = self.skeletons
        if store is None or not volume.has_voxel_size:
            return {}
        kept = [store.get(volume, segments.index, segments.members(one)) for one in ids.tolist()]
        masks = [one is None for one in kept]
        facts = np.array([one[1:4] if one else (0, 0, 0) for one in kept], float).reshape(-1, 3)
        points, lengths, radii = (np.ma.masked_array(each, masks) for each in facts.T)
        return {
            "cable_length_um": lengths / MICROMETRE,
            "branch_points": points.astype(np.int64),
            "mean_radius_nm": radii,
        }

    def _wanted(self, query: SegmentsQuery) -> Wanted | None:
        text = query.search.strip()
        return Wanted.of(text, self._connectome.named(query, text)) if text else None

    def _synapses(self, query: SegmentsQuery, ids: NDArray[np.uint64]) -> Columns:
        """Return how many synapses lead into and out of each segment, if there are any."""
        degrees = self._connectome.degrees(query, ids)
        return {} if degrees is None else dict(zip(SYNAPSES, degrees, strict=True))
