"""One HDF5 dataset, read without the HDF5 library where possible.

h5py holds one lock per process, so two threads read no faster than one. The chunk positions are
therefore queried once. After that, bytes are read with ``pread`` and decoded by libdeflate and
similar libraries, outside that lock. Other filters and user blocks are read through h5py. For
virtual datasets and external storage see `bfly.sources.hdf5.elsewhere`.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import h5py
import numpy as np

from bfly.errors import MissingLibrary, SourceChanged, SourceError
from bfly.geometry import BoundingBox, copy_rows, indexes, zyx
from bfly.sources.hdf5.chunks import PIPELINES, ChunkIndex, Filter, is_zlib, undo
from bfly.sources.hdf5.elsewhere import elsewhere
from bfly.sources.hdf5.file import find, open_h5
from bfly.sources.hdf5.packed import check_packed
from bfly.sources.kinds import stated as kinds
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.voxel_size import NAMES, stated_size
from bfly.sources.source import served_dtype
from bfly.storage.files import FARTHEST, read_exactly, stamp_of
from bfly.storage.limits import check_chunk, check_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Hdf5Dataset"]

log = logging.getLogger(__name__)

LENGTHS = 1 << 16
"""Bytes of the largest voxel size attribute: HDF5 stores no more next to a dataset."""


class Hdf5Dataset:
    """A three-dimensional dataset in one file.

    Parameters
    ----------
    files : Files
        Access to the file.
    path : str
        The HDF5 file.
    name : str, optional
        The dataset's path in the file; by default ``main``, else the first with three axes.
    watch : callable
        Called with the path of each file of the dataset before the file is opened.

    Attributes
    ----------
    path, name : str
        The file that holds the dataset, after links are followed, and its path there.
    shape, chunk : tuple of int
        Shape of the dataset and of one read (z, y, x), in voxels.
    dtype : numpy.dtype
        As served (see `served_dtype`).
    voxel_size : tuple, optional
        Nanometres (z, y, x), and the attribute of the dataset or a parent group that states
        them.
    kind : tuple of str, optional
        Kind of the voxels, and the attribute of the dataset that states it.
    is_deflate : bool
        Whether `read_stream` may return a stream.
    """

    def __init__(
        self, files: Files, path: str, name: str | None, watch: Callable[[str], None]
    ) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._index: ChunkIndex | None = None
        place = find(files, path, name, watch)
        self.path, self.name = place
        with open_h5(files, self.path) as (file, self._stamp):
            dataset = file[self.name]
            self._elsewhere = elsewhere(files, place, dataset, watch)
            if dataset.ndim != 3 or min(dataset.shape) < 1:
                raise SourceError(
                    f"{self.path}: the dataset {self.name} has the shape {dataset.shape}; "
                    "allowed are three axes (z, y, x), none empty."
                )
            self.shape = zyx(dataset.shape)
            self.dtype = served_dtype(dataset.dtype, self.path)
            self.voxel_size = _voxel_size(dataset)
            self.kind = kind_of_attributes(_attributes(dataset, kinds.NAMES))
            self._stored = np.dtype(f"{dataset.dtype.byteorder}{self.dtype.str[1:]}")
            self._fill = np.asarray(dataset.fillvalue).astype(dataset.dtype).view(self._stored)
            plist = dataset.id.get_create_plist()
            self._filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
            self._check_filters()
            layout = plist.get_layout()
            plain = file.userblock_size == 0 and self._elsewhere is None
            self._chunked = plain and layout == h5py.h5d.CHUNKED and self._filters in PIPELINES
            offset = dataset.id.get_offset() if plain else None
            self._flat: Flat | None = None
            if offset is not None and layout == h5py.h5d.CONTIGUOUS:
                self._flat = Flat(self.path, self.shape, self._stored, offset)
            whole_stream = self._chunked and self._filters == (Filter.DEFLATE,)
            self.is_deflate = whole_stream and self._stored == self.dtype
            self.chunk = zyx(dataset.chunks or Flat(self.path, self.shape, self._stored).chunk)
            self._check_sizes(dataset)

    def _check_sizes(self, dataset: Any) -> None:
        """Refuse shapes beyond the offset limit, and chunks beyond the memory limit."""
        itemsize = self._stored.itemsize
        grid = math.prod(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))
        if math.prod(self.shape) * itemsize > FARTHEST or grid > FARTHEST:
            raise SourceError(f"{self.path}: {self.name} has {self.shape} voxels; too many.")
        if dataset.chunks is not None and not self._chunked:
            # The library allocates the whole chunk, even where the dataset ends inside it.
            check_chunk(self.path, "a chunk", self.chunk, itemsize, self._files.max_chunk)

    def _check_filters(self) -> None:
        """Refuse a dataset with filters that neither the library nor a plug-in can decode."""
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401 - registers its filters
        missing = [code for code in self._filters if not h5py.h5z.filter_avail(code)]
        if missing:
            raise MissingLibrary(
                f"{self.path}: {self.name} uses the HDF5 filters {missing}, which are not "
                "installed; pip install 'bfly[filters]' adds the usual ones."
            )

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Return `Flat.reads_at_once` for a dataset without chunks; False for any other."""
        return self._flat is not None and self._flat.reads_at_once(box)

    def read(self, box: BoundingBox) -> Voxels:
        """Read a box inside the dataset; C order, `dtype`, zyx.

        Raises
        ------
        SourceError
            A chunk is damaged or the file ends early.
        SourceChanged
            The file has changed since it was opened.
        """
        if self._chunked:
            return self._read_chunks(box)
        if self._flat is None:
            return self._read_h5py(box)
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(box, voxels)
        return voxels

    def read_into(self, box: BoundingBox, voxels: Voxels) -> None:
        """Read like `read`, into an existing array (zyx, the box's shape)."""
        if self._chunked:
            for place, chunk in self._chunks_of(box, self._chunk_index()):
                if place == box:
                    copy_rows(chunk, voxels)
                    return
                part = place & box
                copy_rows(
                    chunk[part.relative_to(place.start).slices],
                    voxels,
                    part.relative_to(box.start).slices,
                )
        elif self._flat is not None:
            with self._files.open(self.path) as (fd, stamp):
                self._check_unchanged(stamp)
                self._flat.read_into(fd, box, voxels)
        else:
            voxels[...] = self._read_h5py(box)

    def read_stream(self, box: BoundingBox) -> bytes | None:
        """Return a box of voxels (C order, `dtype`) as a zlib stream, if it is one whole chunk.

        The stream is not decompressed: that would cost nearly all the time that pass-through
        saves. Missing bytes and damage to the first two bytes are detected here. The client's
        decoder detects other damage by the Adler-32 checksum at the end.

        Raises
        ------
        SourceError, SourceChanged
            As for `read`.
        """
        position = box.in_tiles(self.chunk).start
        chunk = BoundingBox.of_shape((1, 1, 1), position).refined(self.chunk)
        if not self.is_deflate or box != chunk or box not in BoundingBox.of_shape(self.shape):
            return None
        stored = self._chunk_index().find(position)
        if stored is None or stored[2]:
            return None
        offset, size, _ = stored
        self._check_stored(size)
        with self._files.open(self.path) as (fd, stamp):
            self._check_unchanged(stamp)
            raw = read_exactly(fd, size, offset, self.path)
        return raw if is_zlib(raw) else None

    def _served(self, stored: Voxels) -> Voxels:
        return np.ascontiguousarray(stored).astype(self.dtype, copy=False)

    def _read_h5py(self, box: BoundingBox) -> Voxels:
        try:
            if self._elsewhere is not None:
                self._check_unchanged(stamp_of(self.path))
                voxels = self._elsewhere.read(box.slices)
            else:
                with open_h5(self._files, self.path) as (file, stamp):
                    self._check_unchanged(stamp)
                    dataset = file[self.name]
                    check_packed(dataset, self.path, self._files.max_chunk, box.start, box.stop)
                    voxels = dataset[box.slices]
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise SourceError(f"{self.path}: {self.name} cannot be read: {error}.") from error
        return self._served(voxels.view(self._stored))

    def _read_chunks(self, box: BoundingBox) -> Voxels:
        (z, y, x), (depth, height, width) = box.start, self.chunk
        if box.shape == self.chunk and not (z % depth or y % height or x % width):
            return self._served(next(self._chunks_of(box, self._chunk_index()))[1])
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(box, voxels)
        return voxels

    def _chunks_of(
        self, box: BoundingBox, index: ChunkIndex
    ) -> Iterator[tuple[BoundingBox, Voxels]]:
        """Yield each chunk that touches a box, with its bounds; unwritten chunks are fill."""
        with self._files.open(self.path) as (fd, stamp):
            self._check_unchanged(stamp)
            for position in indexes(box.in_tiles(self.chunk)):
                (k, j, i), (z, y, x) = position, self.chunk
                place = BoundingBox.of_shape(self.chunk, (k * z, j * y, i * x))
                stored = index.find(position)
                if stored is None:
                    yield place, np.broadcast_to(self._fill, zyx(map(min, self.chunk, self.shape)))
                else:
                    offset, size, mask = stored
                    self._check_stored(size)
                    raw = read_exactly(fd, size, offset, self.path)
                    yield place, self._decode(raw, mask, position)

    def _check_stored(self, size: int) -> None:
        """Refuse a stored chunk above the size limit, compressed or decompressed."""
        limit = self._files.max_chunk
        check_chunk(self.path, "a stored chunk", self.chunk, self._stored.itemsize, limit)
        check_length(f"{self.path}: a chunk of {self.name}", size, limit)

    def _decode(self, raw: bytes, mask: int, position: Zyx) -> Voxels:
        itemsize = self._stored.itemsize
        try:
            data = undo(self._filters, raw, mask, itemsize, math.prod(self.chunk) * itemsize)
            return np.frombuffer(data, self._stored).reshape(self.chunk)
        except (RuntimeError, ValueError) as error:
            raise SourceError(
                f"{self.path}: the chunk {position} of {self.name} is damaged: {error}."
            ) from error

    def _chunk_index(self) -> ChunkIndex:
        with self._lock:
            if self._index is None:
                with open_h5(self._files, self.path) as (file, stamp):
                    self._check_unchanged(stamp)
                    self._index = ChunkIndex(file[self.name], self.shape, self.chunk)
            return self._index

    def _check_unchanged(self, stamp: Any) -> None:
        if stamp != self._stamp:
            raise SourceChanged(f"{self.path} changed on disk while it was read.")


def _voxel_size(dataset: Any) -> tuple[VoxelSize, str] | None:
    """Find the voxel size in the attributes of a dataset or of its parent groups."""
    holder = dataset
    while True:
        size = stated_size(_attributes(holder, NAMES))
        if size or holder.name == "/":
            return size
        holder = holder.parent


def _attributes(holder: Any, names: Sequence[str]) -> dict[str, Any]:
    """Read the attributes of these names, up to `LENGTHS` bytes each."""
    attributes = {}
    for name in names:
        try:
            if name in holder.attrs and holder.attrs.get_id(name).get_storage_size() <= LENGTHS:
                attributes[name] = holder.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError, KeyError, OverflowError) as error:
            log.debug("%s: the attribute %s cannot be read: %s", holder.name, name, error)
    return attributes
