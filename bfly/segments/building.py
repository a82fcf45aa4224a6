"""Building of a label index, in steps that any process can do and that are done once.

A step writes a file as a whole. So a build that was interrupted goes on where it was, and several
processes may build the same index: what one of them has finished, the others take.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import BoundingBox, Zyx, ceil_div, indexes, zyx
from bfly.segments.index import ABOUT, Index
from bfly.segments.index_writer import merge_files, write_index
from bfly.segments.merging import AT_ONCE
from bfly.segments.posting import CELL, POSTING, postings_of
from bfly.segments.rows import writing
from bfly.storage.files import Files
from bfly.storage.limits import CHUNK
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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

    Its steps do nothing once the index is there.

    Parameters
    ----------
    spec : ChannelSpec
        The channel.
    folder : str
        Folder of the index.
    state : str
        State of the channel's files (see `Datasource.state`).
    allowed : tuple of str
        The allowed folders.
    max_chunk : int
        Maximum bytes of a chunk that is read.
    """

    spec: ChannelSpec
    folder: str
    state: str = ""
    allowed: tuple[str, ...] = (os.sep,)
    max_chunk: int = CHUNK

    def open(self) -> Volume:
        """Open the channel.

        Raises
        ------
        SourceChanged
            Its files are no longer those of the index.
        SourceError, NotAllowed
            It cannot be opened.
        """
        volume = Volume.open(self.spec, Files(self.allowed, max_chunk=self.max_chunk))
        if volume.state != self.state:
            raise SourceChanged(f"{self.spec.path} changed while its label index was built.")
        return volume

    @property
    def is_done(self) -> bool:
        """Whether the index is there, perhaps by another process."""
        return os.path.exists(os.path.join(self.folder, ABOUT))

    def pieces(self, volume: Volume) -> Iterator[Zyx]:
        """Yield the places of all pieces."""
        yield from indexes(volume.source.scales[0].box.in_tiles(piece_shape(volume)))

    def do(self, piece: Zyx) -> str:
        """Write the postings of a piece, unless they are there; return their file.

        Raises
        ------
        SourceChanged
            The channel's files changed.
        SourceError
            The channel cannot be opened or read.
        OSError
            The file cannot be written.
        """
        path = os.path.join(self.folder, PIECES, "-".join(map(str, piece)))
        if not os.path.exists(path):
            self._unless_done(lambda: self._do(piece, path))
        return path

    def _do(self, piece: Zyx, path: str) -> None:
        volume = _opened(self)
        whole = volume.source.scales[0].box
        box = BoundingBox.of_shape((1, 1, 1), piece).refined(piece_shape(volume)) & whole
        voxels = volume.source.read(0, box)
        found = [np.empty(0, POSTING)]
        for index in indexes(box.in_tiles(CELL)):
            cell = BoundingBox.of_shape((1, 1, 1), index).refined(CELL) & box
            part = np.ascontiguousarray(voxels[cell.relative_to(box.start).slices])
            found.append(postings_of(part, cell.start))
        if changed := volume.source.changed():
            raise SourceChanged(f"{changed} changed while its label index was built.")
        rows = np.concatenate(found)
        with writing(path, once=True) as add:
            add(rows[np.argsort(rows["label"], kind="stable")])

    def groups(self, files: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return what is merged next: a new file → the files that it takes, `AT_ONCE` at most.

        No more files are merged than have to be; the others take their own place. It does not
        depend on the order of the files, so that a file that an earlier run made has the same
        rows. Empty once `finish` can take all files.
        """
        surplus = len(files) - AT_ONCE
        if surplus <= 0:
            return {}
        files = sorted(files)
        level = 1 + max(int(os.path.basename(file).partition("of")[2] or 0) for file in files)
        groups: dict[str, Sequence[str]] = {}
        at = 0
        while surplus > 0 and at < len(files):
            group = files[at : at + min(AT_ONCE, surplus + 1)]
            groups[os.path.join(self.folder, PIECES, f"{len(groups)}of{level}")] = group
            at, surplus = at + len(group), surplus - len(group) + 1
        return {**groups, **{file: [file] for file in files[at:]}}

    def merge(self, path: str, files: Sequence[str]) -> str:
        """Merge the files of a group, unless that is done; raises as `merge_files`."""
        self._unless_done(lambda: merge_files(files, path))
        return path

    def finish(self, files: Sequence[str]) -> Summary:
        """Write the index from the last files, and remove them.

        Raises
        ------
        SourceChanged
            The channel's files changed. What was read of them is removed.
        OSError, SourceError
            As `write_index`.
        """
        pieces = os.path.join(self.folder, PIECES)
        try:
            # A file may have changed before it was read, which only a look at all files tells.
            self.open()
        except SourceChanged:
            shutil.rmtree(pieces, ignore_errors=True)
            raise
        self._unless_done(lambda: write_index(self.folder, sorted(files), pieces))
        shutil.rmtree(pieces, ignore_errors=True)
        return Index(self.folder).summary

    def _unless_done(self, work: Callable[[], object]) -> None:
        """Call `work`, unless another process has finished the index, or does so meanwhile."""
        try:
            if not self.is_done:
                work()
        except (OSError, SourceError):
            if not self.is_done:
                raise


@lru_cache(maxsize=4)
def _opened(build: Build) -> Volume:
    return build.open()
