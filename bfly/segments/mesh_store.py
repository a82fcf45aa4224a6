"""Store of the meshes that jobs made, each job for one state of a channel's files."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.segments.job_plan import JobPlan
from bfly.segments.multires import sizes_in
from bfly.segments.rows import writing
from bfly.sources.precomputed.shards import PrecomputedShards
from bfly.storage.files import Files
from bfly.storage.limits import METADATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["DONE", "PLAN", "MeshStore", "StoredMesh", "write_json"]

VERSION = 1
"""Version of the meshes: a change makes all of them anew."""

NAME = "multires"
"""Folder of all jobs within the store of computed mips."""

ABOUT = "about.json"
"""File of a channel: its path, and the state of its files."""

PLAN, DONE = "plan.json", "done.json"
"""Files of a job: once it is planned, and once all its meshes are there."""

KNOWN = 256
"""Meshes of a job whose place is remembered."""


@dataclass(frozen=True)
class StoredMesh:
    """A mesh in a file.

    Parameters
    ----------
    path : str
        The file.
    start, size : int
        Where the fragments are in it, in bytes.
    index : bytes
        As clients read it.
    cuts : numpy.ndarray
        int64, where each fragment starts and ends.
    """

    path: str
    start: int
    size: int
    index: bytes
    cuts: NDArray[np.int64]

    @property
    def tag(self) -> bytes:
        """ETag, without quotes."""
        facts = (self.path, self.start, self.size, self.index)
        return (
            hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:32].encode()
        )

    def read(self, start: int, stop: int) -> bytes:
        """Return a part of the fragments.

        Raises
        ------
        SourceError
            The file is gone, or shorter than it was.
        """
        return _part(self.path, self.start + start, stop - start)


class MeshStore:
    """Folder of the jobs of any number of channels, shared by the processes of a machine.

    Parameters
    ----------
    folder : str
        The store of computed mips.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.join(folder, NAME)
        self._jobs: dict[str, tuple[int, _Job]] = {}

    def channel(self, volume: Volume) -> str | None:
        """Return the folder of the jobs of a channel; None if its changes go unnoticed."""
        source, state = volume.source, volume.state
        if not state:
            return None
        facts = (
            *(VERSION, os.path.realpath(source.path), str(source.part), state, volume.dtype.str),
            *(volume.spec.key, volume.voxel_size, source.scales[0].shape),
        )
        digest = hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:32]
        return os.path.join(self.folder, digest[:2], digest)

    def claim(self, volume: Volume) -> None:
        """Create the folder of a channel, and remove those of former states of its files.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        channel, source = self.channel(volume), volume.source
        about = {"path": os.path.realpath(source.path), "state": volume.state}
        if channel is None:
            return
        os.makedirs(channel, exist_ok=True)
        write_json(channel, ABOUT, about)
        for path in glob.glob(os.path.join(glob.escape(self.folder), "*", "*", ABOUT)):
            try:
                with open(path, "rb") as file:
                    other = json.load(file)
            except (OSError, ValueError):
                continue
            if other["path"] == about["path"] and other["state"] != about["state"]:
                shutil.rmtree(os.path.dirname(path), ignore_errors=True)

    def jobs(self, channel: str | None) -> list[str]:
        """Return the folders of the jobs of a channel, the latest first, finished or not."""
        try:
            names = os.listdir(channel) if channel else []
        except OSError:
            return []
        numbers = sorted((int(name) for name in names if name.isdecimal()), reverse=True)
        return [os.path.join(channel or "", str(number)) for number in numbers]

    def has_job(self, volume: Volume) -> bool:
        """Return whether a job for a channel is finished."""
        return bool(self._finished(volume))

    def find(self, volume: Volume, segment: int, members: Ids) -> StoredMesh | None:
        """Return the mesh of a segment if it is of these supervoxels (sorted).

        Raises
        ------
        SourceError
            It is damaged.
        """
        for job in self._finished(volume):
            if job.plan.has(segment, members):
                return job.find(segment)
        return None

    def is_kept(self, channel: str, segment: int, members: Ids) -> bool:
        """Return whether a finished job of a channel has the mesh of these supervoxels."""
        return any(job.plan.has(segment, members) for job in self._opened(channel))

    def _finished(self, volume: Volume) -> list[_Job]:
        return self._opened(self.channel(volume))

    def _opened(self, channel: str | None) -> list[_Job]:
        return [job for folder in self.jobs(channel) if (job := self._job(folder))]

    def _job(self, folder: str) -> _Job | None:
        try:
            # A folder that was removed may be that of another job later.
            stamp = os.stat(os.path.join(folder, DONE)).st_mtime_ns
        except OSError:
            self._jobs.pop(folder, None)
            return None
        known = self._jobs.get(folder)
        if known is None or known[0] != stamp:
            try:
                known = self._jobs[folder] = stamp, _Job(folder)
            except (OSError, ValueError) as error:
                raise SourceError(f"The meshes in {folder} cannot be read: {error}") from error
        return known[1]


class _Job:
    """A finished job."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.plan = JobPlan(folder)
        with open(os.path.join(folder, "info"), "rb") as file:
            info = json.load(file)
        sharding, files = info.get("sharding"), Files((folder,))
        one = (1, 1, 1)
        self._shards = sharding and PrecomputedShards(files, folder, one, one, sharding, METADATA)
        self._found: OrderedDict[int, StoredMesh] = OrderedDict()

    def find(self, segment: int) -> StoredMesh:
        found = self._found.get(segment)
        if found is None:
            found = self._found[segment] = self._read(segment)
            if len(self._found) > KNOWN:
                self._found.popitem(last=False)
        return found

    def _read(self, segment: int) -> StoredMesh:
        path = os.path.join(self._folder, str(segment))
        place = self._shards.place(segment) if self._shards else (f"{path}.index", 0, -1)
        if place is None:
            raise SourceError(f"The meshes in {self._folder} lack the segment {segment}.")
        listed, at, size = place
        index = _part(listed, at, size)
        cuts = np.concatenate([[0], np.cumsum(sizes_in(index))]).astype(np.int64)
        total = int(cuts[-1])
        if self._shards:
            return StoredMesh(listed, at - total, total, index, cuts)
        return StoredMesh(path, 0, total, index, cuts)


def _part(path: str, start: int, size: int) -> bytes:
    """Return bytes of a file; all of them for a size of -1."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if 0 <= size != len(data):
        raise SourceError(f"{path} is damaged: it ends before byte {start + size}.")
    return data


def write_json(folder: str, name: str, facts: dict[str, Any]) -> None:
    """Write a file of JSON as a whole; raises OSError."""
    with writing(os.path.join(folder, name)) as add:
        add(np.frombuffer(json.dumps(facts).encode(), np.uint8))
