"""Sparse volumes: the voxels of a segment as runs along x, read only where the segment is."""

from __future__ import annotations

import struct
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.core.supervoxels import supervoxels
from bfly.errors import Absent, BadRequest, TooLarge
from bfly.geometry import zyx
from bfly.segments.cells import box_of_cell, cells_of
from bfly.segments.runs import runs_of
from bfly.tables.writing import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.geometry import BoundingBox
    from bfly.queries.segments import SparseVolumeQuery
    from bfly.segments.segments import Segments
    from bfly.tables.columns import Columns

__all__ = ["MOST_RUNS", "SparseVolume"]

SPOOL = 64 << 20
"""Bytes of runs in memory; more are kept in a temporary file until their number is known."""

MOST_RUNS = 1 << 26
"""Most runs of an answer in the format of DVID, which take 1 GiB. Rows are not limited."""

RUN = np.dtype("<i4")
"""Of the four numbers of a run in the format of DVID."""

HEADER = struct.Struct("<BBBBII")
"""No payload, three dimensions, runs along the first of them (x), reserved; the number of voxels,
which DVID leaves at 0, and that of runs.
Source: DVID's description of ``sparsevol`` of the datatype labelmap."""


class SparseVolume(NamedTuple):
    """The voxels of a segment.

    Parameters
    ----------
    cutouts : Cutouts
        Reads voxels.
    query : SparseVolumeQuery
        Its source is set.
    segments : Segments
        The segments of its channel.
    """

    cutouts: Cutouts
    query: SparseVolumeQuery
    segments: Segments

    def parts(self) -> Iterator[bytes]:
        """Yield the answer, part by part.

        Raises
        ------
        Absent
            The channel has no such mip, or the segment no voxels.
        TooLarge
            The format of DVID would have more than `MOST_RUNS`.
        BadRequest
            Positions do not fit the format of DVID.
        SourceError
            Voxels cannot be read.
        """
        members = self.segments.members(self.query.id or 0)
        boxes = self._boxes(members)
        if self.query.format == "rles":
            return self._rles(members, boxes)
        batches = (self._columns(runs) for runs in self._runs(members, boxes))
        return write_rows(self.query.format, batches, "number")

    def _boxes(self, members: NDArray[np.uint64]) -> Iterator[BoundingBox]:
        """Return the boxes of a grid of the mip that may have voxels of the segment."""
        volume = self.query.volume
        volume.check_mip(self.query.resolution)
        postings = self.segments.index.postings(members)
        if not len(postings):
            raise Absent(f"There is no segment {self.query.id} in {volume.spec.path}.")
        mip = self.query.resolution
        cells = cells_of(volume, mip, postings)
        return (box_of_cell(volume, mip, zyx(cell)) for cell in cells)

    def _runs(
        self, members: NDArray[np.uint64], boxes: Iterator[BoundingBox]
    ) -> Iterator[NDArray[np.int64]]:
        """Yield the runs in each box, one row each: x, y, z, length."""
        for box in boxes:
            query = self.query
            region = supervoxels(query.volume, query.resolution, box, query.state)
            # Past the cache, whose tiles are those of viewers.
            voxels = np.empty(box.shape, region.dtype)
            self.cutouts.fill(region, voxels)
            runs = runs_of(voxels)
            hit = np.isin(runs.labels, members)
            z, y, x = box.start
            columns = runs.x[hit] + x, runs.y[hit] + y, runs.z[hit] + z, runs.lengths[hit]
            yield np.stack(columns, axis=1)

    def _rles(self, members: NDArray[np.uint64], boxes: Iterator[BoundingBox]) -> Iterator[bytes]:
        place = self.query.volume.level(self.query.resolution).place
        limits = np.iinfo(RUN)
        if min(place.start) < limits.min or max(place.stop) > limits.max:
            raise BadRequest(
                f"The positions of {self.query.volume.spec.path} do not fit the format of DVID, "
                "which has 32 bits for each; ask with format=arrow."
            )
        count = 0
        with SpooledTemporaryFile(SPOOL) as spool:
            for runs in self._runs(members, boxes):
                count += len(runs)
                if count > MOST_RUNS:
                    raise TooLarge(
                        f"The segment {self.query.id} has more than {MOST_RUNS} runs at resolution "
                        f"{self.query.resolution}; ask at a coarser one, or with format=arrow."
                    )
                spool.write(runs.astype(RUN).tobytes())
            yield HEADER.pack(0, 3, 0, 0, 0, count)
            spool.seek(0)
            while part := spool.read(1 << 20):
                yield part

    def _columns(self, runs: NDArray[np.int64]) -> Columns:
        names = ("x", "y", "z", "length")
        return {name: np.ascontiguousarray(runs[:, at]) for at, name in enumerate(names)}
