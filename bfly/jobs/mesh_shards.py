"""The second part of a mesh job: the pieces are put together, segment by segment."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.jobs.meshes import FRAGMENT, PIECES, MeshJob, Piece, opened, piece_path
from bfly.segments.job_planning import NODE, NODES
from bfly.segments.mesh_store import DONE, write_json
from bfly.segments.multires import INFO, Manifest
from bfly.segments.node_grid import NodeGrid
from bfly.segments.octree import octree
from bfly.segments.rows import RowFile, writing
from bfly.segments.shard_writer import write_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.volumes.volume import Volume

__all__ = ["finish", "pieces", "put_together", "tidy"]

SHARDS = "shards"
"""Folder of a marker for each shard whose segments are written."""

SOURCE = np.dtype([("piece", "<u4"), ("level", "u1"), ("node", "<u4", 3), ("base", "<u8")])
"""Where a fragment is: the number of its piece, and where the data begin in that file."""


def pieces(job: MeshJob) -> Iterator[Piece]:
    """Yield the pieces of a job, those of level 0 first."""
    for row in RowFile(os.path.join(job.folder, NODES), NODE).read(0, 2**62):
        z, y, x = row["node"].tolist()
        yield int(row["level"]), z, y, x


def put_together(job: MeshJob, shard: int) -> int:
    """Write the meshes of the segments of a shard, unless that is done; return 1.

    Raises
    ------
    SourceError
        A file of a piece is gone or damaged.
    OSError
        A file cannot be written.
    """
    marker = os.path.join(job.folder, SHARDS, str(shard))
    if os.path.exists(marker):
        return 1
    files, rows, sources = _fragments(job, shard)
    order = np.argsort(rows["segment"], kind="stable")
    rows, sources = rows[order], sources[order]
    ids, first = np.unique(rows["segment"], return_index=True)
    bounds = [*first.tolist(), len(rows)]
    volume = opened(job)
    meshes = [
        _mesh(volume, int(segment), rows[a:b], sources[a:b])
        for segment, a, b in zip(ids.tolist(), bounds[:-1], bounds[1:], strict=True)
    ]
    if job.is_sharded:
        listed = [(mesh.segment, mesh.size, mesh.index) for mesh in meshes]
        path = os.path.join(job.folder, job.sharding.name(shard))
        if listed:
            write_shard(
                path, job.sharding.minishard_bits, listed, lambda at: meshes[at].data(files)
            )
    else:
        for mesh in meshes:
            path = os.path.join(job.folder, str(mesh.segment))
            with writing(path) as add:
                for part in mesh.data(files):
                    add(np.frombuffer(part, np.uint8))
            with writing(f"{path}.index") as add:
                add(np.frombuffer(mesh.index, np.uint8))
    with writing(marker):
        pass
    return 1


def finish(job: MeshJob) -> None:
    """Declare that all meshes of a job are there, and remove its pieces.

    Raises
    ------
    SourceChanged
        The channel's files changed during the job.
    OSError
        A file cannot be written.
    """
    opened(job)
    more = {"sharding": job.sharding.told} if job.is_sharded else {}
    write_json(job.folder, "info", {**INFO, **more})
    write_json(job.folder, DONE, {})
    tidy(job.folder)


def tidy(folder: str) -> None:
    """Remove what a job needed only until it was finished."""
    # What a process was writing when it was killed has a name that begins with a dot.
    drafts = [name for name in os.listdir(folder) if name.startswith(".")]
    for name in (SHARDS, PIECES, NODES, *drafts):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.exists(path):
            os.unlink(path)


@dataclass(frozen=True)
class _Mesh:
    """A mesh that is about to be written; its fragments are in the files of pieces."""

    segment: int
    index: bytes
    size: int
    rows: NDArray[np.void]
    sources: NDArray[np.void]

    def data(self, files: list[str]) -> Iterator[bytes]:
        """Yield the fragments in the order of the index."""
        for row, source in zip(self.rows, self.sources, strict=True):
            with open(files[source["piece"]], "rb") as file:
                file.seek(int(source["base"]) + int(row["start"]))
                yield file.read(int(row["size"]))


def _mesh(volume: Volume, segment: int, rows: NDArray[np.void], sources: NDArray[np.void]) -> _Mesh:
    grid, size = NodeGrid.of(volume), np.array(volume.voxel_size)
    levels = octree(sources["level"], sources["node"], rows["eighths"])
    sizes = [np.where(each.sources < 0, 0, rows["size"][each.sources]) for each in levels]
    scales = [float(np.prod(volume.voxel_size_at(mip)[1:]) ** 0.5) for mip in range(len(levels))]
    index = Manifest(
        tuple((np.array(grid.origin) * size).tolist()),
        tuple((np.array(grid.size(0)) * size).tolist()),
        tuple(scales),
        tuple(each.nodes for each in levels),
        tuple(each.astype(np.int64) for each in sizes),
    )
    order = np.concatenate([each.sources for each in levels])
    order = order[order >= 0]
    total = int(sum(each.sum() for each in sizes))
    return _Mesh(segment, index.encoded(), total, rows[order], sources[order])


def _fragments(job: MeshJob, shard: int) -> tuple[list[str], NDArray[np.void], NDArray[np.void]]:
    """Return the files of all pieces, and the rows in them of a shard, with where they are."""
    files, rows = [], [np.empty(0, FRAGMENT)]
    sources: list[NDArray[Any]] = [np.empty(0, SOURCE)]
    for number, piece in enumerate(pieces(job)):
        path = piece_path(job, piece)
        files.append(path)
        try:
            (count,) = np.fromfile(path, "<u8", 1).tolist()
            table = np.memmap(path, FRAGMENT, "r", 8, (count,)) if count else rows[0]
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        column = table["shard"]
        start, stop = (int(np.searchsorted(column, shard, side)) for side in ("left", "right"))
        rows.append(np.array(table[start:stop]))
        source = np.empty(stop - start, SOURCE)
        source["piece"], source["level"], source["node"] = number, piece[0], piece[1:]
        source["base"] = 8 + count * FRAGMENT.itemsize
        sources.append(source)
    return files, np.concatenate(rows), np.concatenate(sources)
