"""Answers about segments: their size, their place, and their synapses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.core.channels import on_current_files
from bfly.core.sparse_volumes import SparseVolume
from bfly.errors import Absent, BadRequest, SourceError
from bfly.segments.background import BackgroundIndexes
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.tables.writing import write_rows

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

CUBIC_MICROMETRE = 1e9
"""Cubic nanometres."""


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
        self._cutouts = cutouts
        self._keywords = keywords
        self._connectome = connectome

    def has_segments(self, volume: Volume) -> bool:
        """Return whether `segments` can be asked for a channel, now or once its index is there."""
        is_labels = volume.kind == "segmentation"
        return is_labels and self.indexes is not None and self.indexes.can_be_there(volume)

    def indexed(self, volume: Volume) -> Index | None:
        """Return the label index of a channel if it is there; raises as `Indexes.open`."""
        return self.indexes.ready(volume) if self.indexes else None

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
        return Segments(self.indexes.of(volume), state)

    def _columns(self, query: SegmentsQuery) -> Columns:
        volume = query.volume
        segments = self.segments(volume, query.state)
        if query.wanted:
            rows = segments.of(np.array(query.wanted, np.uint64))
            if missing := set(query.wanted) - set(rows["label"].tolist()):
                raise Absent(f"There is no segment {min(missing)} in {volume.spec.path}.")
        else:
            rows = segments.largest(query.start, query.count)
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
        counts = [len(segments.members(one)) for one in ids.tolist()]
        columns["supervoxels"] = np.array(counts, np.int64)
        return columns | self._synapses(query, ids)

    def _synapses(self, query: SegmentsQuery, ids: NDArray[np.uint64]) -> Columns:
        """Return how many synapses lead into and out of each segment, if there are any."""
        reader = self._connectome.edited(query)
        try:
            path = reader.dataset(query.path)
        except SourceError:
            return {}
        if not reader.has_rows("synapse", path):
            return {}
        sides = [list(map(len, reader.partners(path, one))) for one in ids.tolist()]
        out, into = np.array(sides, np.int64).reshape(-1, 2).T
        return {"synapses_out": out, "synapses_in": into}
