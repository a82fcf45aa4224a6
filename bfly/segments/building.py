"""Building of a label index, in steps that any process can do and that are done once.

A step writes a file as a whole. So a build that was interrupted goes on where it was, and several
processes may build the same index.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import BoundingBox, Zyx, ceil_div, indexes, zyx
from bfly.segments.index_writer import merge_files, write_index
from bfly.segments.merging import AT_ONCE
from bfly.segments.posting import CELL, POSTING, postings_of
from bfly.segments.rows import writing
from bfly.storage.files import Files
from bfly.storage.limits import CHUNK
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bfly.segments.index import Summary
    from bfly.volumes.channel import ChannelSpec

__all__ = ["Build", "piece_shape"]

REGION = 128 << 20
"""Bytes of the voxels that a piece holds, unless a cell needs more."""

PIECES = "pieces"
"""Folder of the files of a build within the folder of its index; removed at the end."""


def piece_shape(volume: Volume) -> Zyx:
    """Return the shape of the pieces in which a channel is read: whole cells, and whole chunks.

    Chunks are read once if `REGION` holds a piece of them.
    """
    scale, itemsize = volume.source.scales[0], volume.dtype.itemsize
    shape = list(CELL)
    for axis in (2, 1, 0):
        wanted = ceil_div(min(scale.chunk[axis], scale.shape[axis]), CELL[axis]) * CELL[axis]
        area = int(np.prod(shape)) // shape[axis]
        shape[axis] = max(CELL[axis], min(wanted, REGION // itemsize // area))
        shape[axis] -= shape[axis] % CELL[axis]
    return zyx(shape)


@dataclass(frozen=True)
class Build:
    """An index to build; small, because it is sent to other machines.

    Parameters
    ----------
    spec : ChannelSpec
        The channel.
    folder : str
        Folder of the index.
    allowed : tuple of str
        The allowed folders.
    max_chunk : int
        Maximum bytes of a chunk that is read.
    """

    spec: ChannelSpec
    folder: str
    allowed: tuple[str, ...] = (os.sep,)
    max_chunk: int = CHUNK

    def open(self) -> Volume:
        """Open the channel; raises as `Volume.open`."""
        return Volume.open(self.spec, Files(self.allowed, max_chunk=self.max_chunk))

    def pieces(self, volume: Volume) -> Iterator[Zyx]:
        """Yield the places of all pieces."""
        yield from indexes(volume.source.scales[0].box.in_tiles(piece_shape(volume)))

    def do(self, piece: Zyx) -> str:
        """Write the postings of a piece, unless they are there; return their file.

        Raises
        ------
        SourceError
            The channel cannot be opened or read.
        OSError
            The file cannot be written.
        """
        path = os.path.join(self.folder, PIECES, "-".join(map(str, piece)))
        if os.path.exists(path):
            return path
        volume = _opened(self)
        whole = volume.source.scales[0].box
        box = BoundingBox.of_shape((1, 1, 1), piece).refined(piece_shape(volume)) & whole
        voxels = volume.source.read(0, box)
        found = [np.empty(0, POSTING)]
        for index in indexes(box.in_tiles(CELL)):
            cell = BoundingBox.of_shape((1, 1, 1), index).refined(CELL) & box
            part = np.ascontiguousarray(voxels[cell.relative_to(box.start).slices])
            found.append(postings_of(part, cell.start))
        rows = np.concatenate(found)
        with writing(path) as add:
            add(rows[np.argsort(rows["label"], kind="stable")])
        return path

    def groups(self, files: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return what is merged next: a new file → the files that it takes, `AT_ONCE` at most.

        It does not depend on the order of the files, so that a file that an earlier run made
        has the same rows. Empty once `finish` can take all files.
        """
        if len(files) <= AT_ONCE:
            return {}
        files = sorted(files)
        level = int(os.path.basename(files[0]).partition("of")[2] or 0) + 1
        groups = [files[at : at + AT_ONCE] for at in range(0, len(files), AT_ONCE)]
        folder = os.path.join(self.folder, PIECES)
        return {
            os.path.join(folder, f"{number}of{level}"): group for number, group in enumerate(groups)
        }

    def merge(self, path: str, files: Sequence[str]) -> str:
        """Merge the files of a group, unless that is done; raises as `merge_files`."""
        return merge_files(files, path)

    def finish(self, files: Sequence[str]) -> Summary:
        """Write the index from the last files, and remove them; raises as `write_index`."""
        summary = write_index(self.folder, sorted(files))
        shutil.rmtree(os.path.join(self.folder, PIECES), ignore_errors=True)
        return summary


@lru_cache(maxsize=4)
def _opened(build: Build) -> Volume:
    return build.open()
