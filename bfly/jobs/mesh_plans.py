"""Mesh jobs of a channel: which one goes on, and what a new one has to do."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.errors import Busy
from bfly.jobs.mesh_shards import tidy
from bfly.jobs.meshes import MeshJob
from bfly.segments.job_planning import Planning
from bfly.segments.mesh_store import DONE, PLAN, write_json
from bfly.segments.node_grid import NodeGrid
from bfly.segments.segments import members_of, patched_of
from bfly.segments.shard_writer import Sharding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState
    from bfly.jobs.pyramid import Task
    from bfly.segments.index import Index
    from bfly.segments.mesh_store import MeshStore
    from bfly.volumes.volume import Volume

__all__ = ["MeshJobs"]


class MeshJobs(NamedTuple):
    """The jobs of a channel.

    Parameters
    ----------
    store : MeshStore
        Where they are.
    channel : str
        Their folder.
    task : Task
        The channel.
    ids : tuple of int
        The segments that are wanted; empty for all.
    is_sharded : bool
        Whether a shard is one file, or each segment two.
    """

    store: MeshStore
    channel: str
    task: Task
    ids: tuple[int, ...]
    is_sharded: bool

    @contextmanager
    def held(self, volume: Volume) -> Iterator[None]:
        """Keep other processes from working on jobs of the channel.

        Raises
        ------
        Busy
            Another process does so.
        OSError
            The folder cannot be written.
        """
        self.store.claim(volume)
        folder = os.open(self.channel, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Busy(f"Another bfly mesh works on {self.channel}: wait until it ends.") from error
        finally:
            os.close(folder)

    def begun(self) -> MeshJob | None:
        """Return the job for the same segments that was begun but not finished.

        What has no plan, or was finished but not tidied up, is removed.
        """
        for folder in self.store.jobs(self.channel):
            if os.path.exists(os.path.join(folder, DONE)):
                tidy(folder)
                continue
            try:
                with open(os.path.join(folder, PLAN), "rb") as file:
                    plan = json.load(file)
            except (OSError, ValueError):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if plan["request"] == self._request:
                return MeshJob(self.task, folder, Sharding(*plan["bits"]), self.is_sharded)
        return None

    def new(self, volume: Volume, index: Index, edits: EditState | None) -> MeshJob | None:
        """Plan a job for what no finished job has; return None if that is nothing.

        Segments with patches are left out: a job reads the stored labels.

        Raises
        ------
        OSError
            The folder cannot be written.
        SourceError
            The index, or a finished job, is damaged.
        """
        numbers = [int(os.path.basename(folder)) for folder in self.store.jobs(self.channel)]
        folder = os.path.join(self.channel, str(max(numbers, default=0) + 1))
        ids = np.unique(np.array(self.ids, np.uint64)) if self.ids else None
        first = volume.level(0).origin
        planning = Planning(index, edits, NodeGrid.of(volume), first, ids)

        patched = set(patched_of(edits).tolist())

        def is_kept(segment: int) -> bool:
            if not numbers or segment in patched:
                return segment in patched
            return self.store.is_kept(self.channel, segment, members_of(edits, segment))

        segments, fragments = planning.write(folder, is_kept)
        if not segments:
            shutil.rmtree(folder)
            return None
        sharding = Sharding.of(segments, fragments)
        plan = {"request": self._request, "bits": list(sharding), "segments": segments}
        write_json(folder, PLAN, plan)
        return MeshJob(self.task, folder, sharding, self.is_sharded)

    @property
    def _request(self) -> dict[str, Any]:
        return {"ids": sorted(self.ids), "sharded": self.is_sharded}


def named(edits: EditState | None, ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the segments that ids refer to: a supervoxel stands for the segment it is part of."""
    if edits is None:
        return np.unique(ids)
    is_name = edits.is_name(ids)
    return np.unique(np.concatenate([ids[is_name], edits.segments(ids[~is_name])]))
