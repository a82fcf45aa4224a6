"""Skeletons of many segments, each made by any process that sees the channel and the store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from bfly.concurrency.workers import Workers
from bfly.cutouts.cutouts import Cutouts
from bfly.errors import SourceError, TooLarge
from bfly.keywords import MIB, RUNTIME
from bfly.segments.background import BackgroundIndexes
from bfly.segments.skeletons import SkeletonStore, make_skeleton
from bfly.segments.store import Indexes
from bfly.storage.cache import Cache
from bfly.storage.files import Files
from bfly.volumes.pyramid_store import Pyramids
from bfly.volumes.region import Region
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.volumes.channel import ChannelSpec

__all__ = ["Done", "SkeletonJob"]

CACHE = 256 * MIB
"""Memory for the voxels that segments near each other share."""


class Done(NamedTuple):
    """What became of the skeleton of a segment.

    Parameters
    ----------
    is_new : bool
        Whether it was made now; otherwise it was kept already, or failed.
    error : str
        Why it failed, or "".
    """

    is_new: bool
    error: str = ""


@dataclass(frozen=True)
class SkeletonJob:
    """The channel, the store and their limits; small, because it is sent to other machines.

    Parameters
    ----------
    spec : ChannelSpec
        The channel.
    allowed : tuple of str
        The allowed folders.
    largest_tile, max_chunk : int
        Maximum bytes of a single tile, and of a chunk that is read.
    limit : int
        Maximum bytes of voxels that a coarse mip is computed from at once.
    folder : str
        Folder of the store.
    size : int
        Maximum bytes of the store.
    """

    spec: ChannelSpec
    allowed: tuple[str, ...]
    largest_tile: int
    max_chunk: int
    limit: int
    folder: str
    size: int

    def open(self) -> Volume:
        """Open the channel; raises as `Volume.open`."""
        files = Files(self.allowed, max_chunk=self.max_chunk)
        return Volume.open(self.spec, files, self.largest_tile, Pyramids(self.folder, self.size))

    def do(self, segment: tuple[int, NDArray[np.uint64]]) -> Done:
        """Keep the skeleton of a segment, unless it is kept already.

        Parameters
        ----------
        segment : tuple of (int, numpy.ndarray)
            Its id and its supervoxels.

        Raises
        ------
        SourceError
            The channel or its index cannot be opened.
        MissingLibrary
            scipy is not installed on the worker.
        """
        number, members = segment
        volume, cutouts = _opened(self)
        store = SkeletonStore(self.folder, self.size)
        index = BackgroundIndexes(Indexes(self.folder, self.size)).ready(volume)
        if index is None:
            raise SourceError(f"{self.spec.path} has changed, or its index is gone.")
        if store.get(volume, index, members) is not None:
            return Done(False)

        def read(mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
            return cutouts.gather(Region.of(volume, mip, box))

        if not len(index.postings(members)):
            return Done(False, f"There is no segment {number} in {self.spec.path}.")
        try:
            made = make_skeleton(volume, index, members, read)
        except (SourceError, TooLarge) as error:
            return Done(False, f"Segment {number}: {error}")
        store.set(volume, index, members, made)
        is_kept = store.get(volume, index, members) is not None
        return Done(is_kept, "" if is_kept else f"{self.folder} cannot be written to")


@lru_cache(maxsize=4)
def _opened(job: SkeletonJob) -> tuple[Volume, Cutouts]:
    runtime = RUNTIME()
    runtime.CACHE.MAX.VALUE = CACHE
    workers = Workers(parallel=1)
    return job.open(), Cutouts(Cache(runtime), workers, workers, job.limit)
