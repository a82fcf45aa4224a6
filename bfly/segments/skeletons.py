"""Skeletons of segments: of which voxels they are made, and how they are kept."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import TooLarge
from bfly.geometry import zyx
from bfly.registry import needed
from bfly.segments.cells import box_of_cell, cells_of
from bfly.segments.kept_skeleton import KeptSkeleton
from bfly.segments.runs import runs_of
from bfly.storage.disk_cache import DiskCache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.segments.fragments import Read
    from bfly.segments.postings import Postings
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["SkeletonStore", "make_skeleton"]

NAME = "skeletons"
"""Folder of the skeletons within the store of computed mips."""

VERSION = 1
"""Version of the skeletons: a change makes all of them anew."""

MOST_VOXELS = 1 << 19
"""Voxels of a segment at the mip of its skeleton: they take half a gigabyte for some seconds."""

MOST_CELLS = 1024
"""Cells of a segment at that mip: each is read."""

COARSE = 12.0
"""Nanometres: voxels that have this size along all axes are fine enough for neurites."""

FEW_VOXELS = 1 << 13
"""Voxels that a segment should keep at a coarser mip."""


class SkeletonStore:
    """Keeps skeletons on disk; shared by the processes of a machine.

    A skeleton belongs to a state of the channel's files and to the supervoxels of the segment. So
    it is never found once a file or the segment has changed.

    Parameters
    ----------
    folder : str
        The store of computed mips. The skeletons are in its folder `NAME`.
    size : int
        Bytes of all skeletons. The least recently used ones are removed first.
    """

    def __init__(self, folder: str, size: int) -> None:
        self._kept = DiskCache(os.path.join(folder, NAME), size)

    def get(self, volume: Volume, index: Postings, members: Ids) -> KeptSkeleton | None:
        """Return the skeleton of the segment of some supervoxels; None if none is kept."""
        data = self._kept.get(self.key(volume, index, members))
        return KeptSkeleton.unpacked(data) if data else None

    def set(self, volume: Volume, index: Postings, members: Ids, made: KeptSkeleton) -> None:
        """Keep a skeleton; if the disk is full or missing, only log a warning."""
        self._kept.set(self.key(volume, index, members), made.packed)

    @staticmethod
    def key(volume: Volume, index: Postings, members: Ids) -> str:
        """Return the name of the skeleton of a segment.

        Parameters
        ----------
        volume : Volume
            The channel.
        index : Postings
            Its label index: the skeleton is that of the voxels after its patches.
        members : numpy.ndarray
            uint64, the supervoxels of the segment.
        """
        digest = hashlib.sha256(np.sort(members).astype("<u8").tobytes()).hexdigest()
        version = index.version(members)
        return f"{VERSION} {volume.spec.key} {volume.state} {digest}{version}"


def make_skeleton(volume: Volume, index: Postings, members: Ids, read: Read) -> KeptSkeleton:
    """Return the skeleton of a segment, its vertices in nanometres in the dataset.

    It is that of the finest mip with voxels of some nanometres and not too many of them. A
    segment that is absent from a mip, because its voxels are in the minority there, has the
    skeleton of a finer one.

    Parameters
    ----------
    volume : Volume
        The channel.
    index : Postings
        Its label index, after patches.
    members : numpy.ndarray
        uint64, the supervoxels of the segment, which has voxels.
    read : callable
        Reads supervoxels after these patches.

    Raises
    ------
    TooLarge
        It has too many at each mip.
    MissingLibrary
        scipy is not installed.
    SourceError
        The voxels cannot be read.
    """
    with needed("skeletons"):
        from bfly.segments.skeleton import skeleton
    postings = index.postings(members)
    mip, places = _voxels(volume, postings, members, read)
    size, whole = volume.voxel_size_at(mip), volume.level(mip).place
    return KeptSkeleton.of(skeleton(places, size, whole), mip)


def first_mip(volume: Volume, postings: NDArray[np.void]) -> int:
    """Return the mip that is looked at first: the finest that is not too large or needless.

    Parameters
    ----------
    volume : Volume
        The channel.
    postings : numpy.ndarray
        `POSTING` of the segment.
    """
    voxels = int(postings["voxels"].sum())
    for mip in range(volume.levels - 1):
        size, next_size = (voxels / np.prod(volume.level(m).factor) for m in (mip, mip + 1))
        is_enough = min(volume.voxel_size_at(mip)) >= COARSE or next_size < FEW_VOXELS
        if not is_enough or size > MOST_VOXELS:
            continue
        if len(cells_of(volume, mip, postings)) <= MOST_CELLS:
            return mip
    return volume.levels - 1


def _voxels(
    volume: Volume, postings: NDArray[np.void], members: Ids, read: Read
) -> tuple[int, NDArray[np.int64]]:
    """Return a mip and the voxels of a segment at it."""
    mip = first_mip(volume, postings)
    places = _places(volume, mip, postings, members, read)
    while places is None and mip + 1 < volume.levels:
        mip += 1
        places = _places(volume, mip, postings, members, read)
    while places is not None and not len(places) and mip:
        mip -= 1
        places = _places(volume, mip, postings, members, read)
    if places is None:
        raise TooLarge(
            f"A segment of {volume.spec.path} has more than {MOST_VOXELS} voxels at mip {mip}; a "
            "skeleton is made of at most that many."
        )
    return mip, places


def _places(
    volume: Volume, mip: int, postings: NDArray[np.void], members: Ids, read: Read
) -> NDArray[np.int64] | None:
    """Return z, y, x of the voxels of a segment in the dataset; None if there are too many."""
    found, total = [np.empty((0, 3), np.int64)], 0
    for cell in cells_of(volume, mip, postings):
        box = box_of_cell(volume, mip, zyx(cell))
        runs = runs_of(np.ascontiguousarray(read(mip, box)))
        hit = np.isin(runs.labels, members)
        lengths = runs.lengths[hit]
        total += int(lengths.sum())
        if total > MOST_VOXELS:
            return None
        ends = np.cumsum(lengths)
        along = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        columns = (np.repeat(each[hit], lengths) for each in (runs.z, runs.y, runs.x))
        places = np.stack(list(columns), axis=1)
        places[:, 2] += along
        found.append(places + box.start)
    return np.concatenate(found)
