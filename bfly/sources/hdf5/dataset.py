"""One HDF5 dataset, read without the HDF5 library where possible.

h5py holds one lock per process, so two threads read no faster than one. The chunk positions are
therefore queried once. After that, bytes are read with ``pread`` and decoded by libdeflate and
similar libraries, outside that lock. Other filters, user blocks and types that numpy lacks are read
through h5py. For virtual datasets and external storage see `bfly.sources.hdf5.elsewhere`.
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
from bfly.geometry import BoundingBox, ceil_div, copy_rows, indexes, zyx
from bfly.sources.hdf5.attributes import attributes_above, attributes_of, placing
from bfly.sources.hdf5.axes import axes_of
from bfly.sources.hdf5.bdv import as_unsigned
from bfly.sources.hdf5.chunks import PIPELINES, ChunkIndex, Filter, is_zlib, undo
from bfly.sources.hdf5.elsewhere import elsewhere
from bfly.sources.hdf5.file import Place, open_h5
from bfly.sources.hdf5.packed import check_packed
from bfly.sources.hdf5.voxel_type import fill_of, read_box, voxel_type
from bfly.sources.kinds import stated as kinds
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.voxel_size import stated_size
from bfly.sources.voxel_types import as_served, bytes_dtype, quiet, served_dtype
from bfly.storage.files import FARTHEST, read_exactly, stamp_of
from bfly.storage.limits import check_chunk, check_length
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.storage.files import Files

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Hdf5Dataset"]

log = logging.getLogger(__name__)


class Hdf5Dataset:
    """One volume of a dataset in one file.

    Parameters
    ----------
    files : Files
        Access to the file.
    place : Place
        The dataset.
    watch : callable
        Called with the path of each file of the dataset before the file is opened.
    part : Part
        Its places on axes that are not z, y and x count; the default is 0.

    Attributes
    ----------
    path, name : str
        Those of the place.
    shape, chunk : tuple of int
        Shape of the dataset and of one read (z, y, x), in voxels.
    stored_dtype, dtype : numpy.dtype
        As stored, and as served (see `served_dtype`).
    others : dict
        Length of each axis of several places that is not z, y or x, by its letter.
    voxel_size : tuple, optional
        Nanometres (z, y, x), and the attribute of the dataset or a parent group that states
        them.
    axes : list of int
        Axes of the dataset that are z, y and x, for attributes with a number for each axis.
    described : dict
        The attributes that may state the position of the first voxel (see `stated_place`).
    kind : tuple of str, optional
        Kind of the voxels, and the attribute of the dataset that states it.
    is_deflate : bool
        Whether `read_stream` may return a stream.
    """

    def __init__(
        self, files: Files, place: Place, watch: Callable[[str], None], part: Part = WHOLE
    ) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._index: ChunkIndex | None = None
        self.path, self.name = place
        with open_h5(files, self.path) as (file, self._stamp):
            dataset = file[self.name]
            self._elsewhere = elsewhere(files, place, dataset, watch)
            axes = axes_of(dataset, self.path)
            if axes.doubt:
                log.warning("%s", axes.doubt)
            self.others = axes.others
            self._view = axes.view(part, f"{self.path}: {self.name}")
            self.shape = self._view.sides(dataset.shape)
            self._type = voxel_type(dataset, self.path)
            self.stored_dtype = as_unsigned(self.name, self._type.dtype)
            self.dtype = served_dtype(self.stored_dtype, self.path)
            # A dataset without z has no lengths along its axes for all three.
            self.axes = [axis for axis in self._view.zyx if axis is not None]
            holders = list(attributes_above(dataset))
            sizes = (stated_size(each, self.axes) for each in holders)
            self.voxel_size = next(filter(None, sizes), None)
            self.described = placing(holders, self.axes)
            self.kind = kind_of_attributes(attributes_of(dataset, kinds.NAMES))
            self._stored = bytes_dtype(self.stored_dtype)
            plist = dataset.id.get_create_plist()
            self._fill = fill_of(plist, self._type.dtype).view(self._stored)
            self._filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
            self._check_filters()
            layout = plist.get_layout()
            plain = file.userblock_size == 0 and self._elsewhere is None and self._type.is_plain
            self._chunked = plain and layout == h5py.h5d.CHUNKED and self._filters in PIPELINES
            offset = dataset.id.get_offset() if plain else None
            self._flat: Flat | None = None
            if offset is not None and layout == h5py.h5d.CONTIGUOUS:
                self._flat = self._view.flat(self.path, dataset.shape, self._stored, offset)
            self._sides = dataset.chunks
            whole_stream = self._chunked and self._filters == (Filter.DEFLATE,)
            as_it_is = whole_stream and self._stored == self.dtype
            self.is_deflate = as_it_is and self._view.keeps_bytes(self._sides)
            if self._sides is None:
                self.chunk = Flat(self.path, self.shape, self._stored).chunk
            else:
                self.chunk = self._view.sides(self._sides)
            self._check_sizes(dataset.shape)

    def _check_sizes(self, shape: tuple[int, ...]) -> None:
        """Refuse shapes beyond the offset limit, and chunks beyond the memory limit."""
        itemsize = self._stored.itemsize
        grid = math.prod(map(ceil_div, shape, self._sides or shape))
        if math.prod(shape) * itemsize > FARTHEST or grid > FARTHEST:
            raise SourceError(f"{self.path}: {self.name} has {shape} voxels; too many.")
        if self._sides is not None and not self._chunked:
            # The library allocates the whole chunk, even where the dataset ends inside it.
            check_chunk(self.path, "a chunk", self._sides, itemsize, self._files.max_chunk)

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

    def crop(self, shape: Zyx) -> None:
        """Serve only the first voxels along each axis: `shape` (z, y, x) of them.

        Raises
        ------
        SourceError
            The dataset has fewer.
        """
        if not all(1 <= n <= most for n, most in zip(shape, self.shape, strict=True)):
            raise SourceError(
                f"{self.path}: {self.name} has {self.shape} voxels (zyx), and is said to have "
                f"{shape}; allowed are 1 to as many as it has."
            )
        self.shape = shape

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
                part = place & box
                inner = chunk[part.relative_to(place.start).slices]
                with quiet():
                    copy_rows(inner, voxels, part.relative_to(box.start).slices)
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
        return as_served(stored, self.dtype)

    def _read_h5py(self, box: BoundingBox) -> Voxels:
        region = self._view.selection(box)
        try:
            if self._elsewhere is not None:
                self._check_unchanged(stamp_of(self.path))
                voxels = self._elsewhere.read(region, self._type.dtype)
            else:
                with open_h5(self._files, self.path) as (file, stamp):
                    self._check_unchanged(stamp)
                    dataset = file[self.name]
                    start, stop = zip(*((side.start, side.stop) for side in region), strict=True)
                    check_packed(dataset, self.path, self._files.max_chunk, start, stop)
                    voxels = read_box(dataset, region, self._type.dtype)
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise SourceError(f"{self.path}: {self.name} cannot be read: {error}.") from error
        return self._served(self._view.cut(voxels.view(self._stored)))

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
        check_chunk(self.path, "a stored chunk", self._sides, self._stored.itemsize, limit)
        check_length(f"{self.path}: a chunk of {self.name}", size, limit)

    def _decode(self, raw: bytes, mask: int, position: Zyx) -> Voxels:
        itemsize = self._stored.itemsize
        try:
            data = undo(self._filters, raw, mask, itemsize, math.prod(self._sides) * itemsize)
            return self._view.cut(np.frombuffer(data, self._stored).reshape(self._sides))
        except (RuntimeError, ValueError) as error:
            raise SourceError(
                f"{self.path}: the chunk {position} of {self.name} is damaged: {error}."
            ) from error

    def _chunk_index(self) -> ChunkIndex:
        with self._lock:
            if self._index is None:
                with open_h5(self._files, self.path) as (file, stamp):
                    self._check_unchanged(stamp)
                    self._index = ChunkIndex(file[self.name], self._view)
            return self._index

    def _check_unchanged(self, stamp: Any) -> None:
        if stamp != self._stamp:
            raise SourceChanged(f"{self.path} changed on disk while it was read.")
