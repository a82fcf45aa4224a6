"""Meshes of several resolutions of all or some segments, in pieces that any process can do.

A piece is a node of the octree: the triangles of all segments in it, one file, written as a whole.
Then the pieces are put together, a shard of the segments at a time. What is there is not done
again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np

from bfly.errors import SourceChanged
from bfly.geometry import zyx
from bfly.jobs.pyramid import Task
from bfly.segments.clipping import clipped
from bfly.segments.job_plan import JobPlan
from bfly.segments.mesh_store import MeshStore
from bfly.segments.multires import draco, split
from bfly.segments.node_grid import NodeGrid
from bfly.segments.posting import postings_of
from bfly.segments.rows import writing
from bfly.segments.shard_writer import Sharding
from bfly.segments.surface import Surface, surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox, Zyx
    from bfly.volumes.volume import Volume

__all__ = ["FRAGMENT", "PIECES", "MeshJob", "Piece", "do", "opened", "piece_path"]

FRAGMENT = np.dtype(
    [("shard", "<u4"), ("segment", "<u8"), ("eighths", "u1"), ("start", "<u8"), ("size", "<u4")]
)
"""A fragment in the file of a piece, which begins with the number of these rows (uint64). They are
in ascending order of shards and segments; `start` counts from the end of the rows."""

PIECES = "pieces"
"""Folder of the files of a job's first part within its folder; removed at the end."""

Piece = tuple[int, int, int, int]
"""Level and node (z, y, x)."""


@dataclass(frozen=True)
class MeshJob:
    """A job; small, because it is sent to other machines.

    Parameters
    ----------
    task : Task
        The channel.
    folder : str
        Folder of the job, planned.
    sharding : Sharding
        How segments are distributed among the tasks of the second part.
    is_sharded : bool
        Whether a shard is one file, or each segment two.
    """

    task: Task
    folder: str
    sharding: Sharding
    is_sharded: bool


def piece_path(job: MeshJob, piece: Piece) -> str:
    """Return the file of a piece."""
    return os.path.join(job.folder, PIECES, "-".join(map(str, piece)))


def do(job: MeshJob, piece: Piece) -> int:
    """Mesh the segments of a job in a node, unless that is done; return 1.

    Raises
    ------
    SourceError
        The channel cannot be opened or read.
    MissingLibrary
        DracoPy is not installed.
    OSError
        The file cannot be written.
    """
    path = piece_path(job, piece)
    if os.path.exists(path):
        return 1
    volume, grid, plan = _opened(job)
    level, node = piece[0], zyx(piece[1:])
    around = grid.around(level, node)
    segments = _segments(_read(volume, level, around), plan, level)
    rows, data = [], []
    start = 0
    for posting in postings_of(segments, (0, 0, 0)):
        label = posting["label"]
        low = np.maximum(posting["low"].astype(np.int64) - 2, 0)
        stop = posting["high"].astype(np.int64) + 2
        box = tuple(slice(a, b) for a, b in zip(low.tolist(), stop.tolist(), strict=True))
        places, triangles = surface(np.ascontiguousarray(segments[box] == label))
        places = (places + (low + 1 + around.start)) * grid.factors[level]
        eighths, fragment = _fragment(Surface(places, triangles), grid, level, node)
        if fragment:
            rows.append((0, label, eighths, start, len(fragment)))
            data.append(fragment)
            start += len(fragment)
    table = np.array(rows, FRAGMENT)
    table["shard"] = job.sharding.shards(np.ascontiguousarray(table["segment"]))
    table = np.sort(table, order=("shard", "segment"))
    with writing(path) as add:
        add(np.array([len(table)], "<u8"))
        add(table)
        add(np.frombuffer(b"".join(data), np.uint8))
    return 1


def opened(job: MeshJob) -> Volume:
    """Open the channel of a job.

    Raises
    ------
    SourceChanged
        Its files are no longer those for which the job was planned.
    SourceError, NotAllowed
        It cannot be opened.
    """
    volume = job.task.open()
    if MeshStore(job.task.folder).channel(volume) != os.path.dirname(job.folder):
        raise SourceChanged(f"{job.task.spec.path} changed since its meshes were begun.")
    return volume


def _fragment(mesh: Surface, grid: NodeGrid, level: int, node: Zyx) -> tuple[int, bytes]:
    """Return the part of a surface in a node: the eighths that it is in, and its triangles."""
    box, count = grid.box(level, node), grid.nodes(level)
    # Beyond the first and the last node there is nothing, and the last one has its upper faces.
    lower = [at if i else None for at, i in zip(box.start, node, strict=True)]
    upper = [at if i + 1 < n else None for at, i, n in zip(box.stop, node, count, strict=True)]
    mesh, eighths = clipped(mesh, lower, upper), 1
    if level:
        mesh, eighths = split(mesh, box.start, box.shape)
    return eighths, draco(mesh, box.start, box.shape) if len(mesh.triangles) else b""


def _segments(
    voxels: np.ndarray[Any, np.dtype[Any]], plan: JobPlan, level: int
) -> NDArray[np.uint64]:
    """Return the segments that supervoxels are part of; 0 where they have no such level."""
    labels, inverse = fastremap.unique(voxels, return_inverse=True)
    segments, levels = plan.of_labels(labels.astype(np.uint64))
    segments[levels <= level] = 0
    result: NDArray[np.uint64] = segments[inverse].reshape(voxels.shape)
    return result


def _read(volume: Volume, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the supervoxels of a box (in the dataset) of a mip, 0 outside the channel."""
    level, kept = volume.level(mip), volume.kept(mip)
    result = np.zeros(box.shape, volume.dtype)
    inside = box & level.place
    if inside.size:
        local = inside.relative_to(level.origin)
        voxels = kept.read(local) if kept else None
        if voxels is None:
            voxels = level.read(local, volume.kind, partial(volume.source.read, level.stored))
        result[inside.relative_to(box.start).slices] = voxels
    return result


@lru_cache(maxsize=4)
def _opened(job: MeshJob) -> tuple[Volume, NodeGrid, JobPlan]:
    volume = opened(job)
    return volume, NodeGrid.of(volume), JobPlan(job.folder)
