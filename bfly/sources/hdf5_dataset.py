"""One HDF5 dataset, read past the HDF5 library wherever that is possible.

h5py holds one lock for the process, so two callers get no more than one of them would.
The places of the chunks are therefore asked for once; after that the bytes are read with
``pread`` and decoded by libdeflate and its kin, all outside that lock. What this does not
cover (other filters, virtual and external layouts, user blocks) is read through h5py.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from os.path import dirname, join
from typing import TYPE_CHECKING

import h5py
import numpy as np

from bfly.errors import MissingLibrary, SourceChanged, SourceError
from bfly.files import read_exactly, stamp_of
from bfly.geometry import BoundingBox, copy_rows, indexes, zyx
from bfly.sources.dialects import stated_size
from bfly.sources.flat import Flat
from bfly.sources.hdf5_chunks import PIPELINES, ChunkIndex, Filter, is_zlib, undo
from bfly.sources.source import served_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from bfly.files import Files
    from bfly.geometry import Zyx
    from bfly.ladder import VoxelSize

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Hdf5Dataset"]


def open_h5(files: Files, path: str) -> AbstractContextManager[Any]:
    """Open a file with h5py, for a short while; errors carry the path and h5py's reason."""
    real = files.resolve(path)
    try:
        try:
            return h5py.File(real, "r", locking=False)  # type: ignore[no-any-return]
        except OSError:
            # The program around us may have it open with locks; then so must we.
            return h5py.File(real, "r")  # type: ignore[no-any-return]
    except OSError as error:
        raise SourceError(f"{path} cannot be opened as HDF5: {error}.") from error


class Hdf5Dataset:
    """A three-dimensional dataset in one file.

    Parameters
    ----------
    files : Files
        The way to the file.
    path : str
        The HDF5 file.
    name : str, optional
        The dataset's path in the file; ``main`` or else the first with three axes.

    Attributes
    ----------
    shape, chunk : tuple of int
        Of the dataset and of what is read at once (z, y, x), in voxels.
    dtype : numpy.dtype
        As served (see `served_dtype`).
    voxel_size : tuple, optional
        Nanometres (z, y, x), and which attribute of it or of a group around it states them.
    is_deflate : bool
        Whether `read_stream` may give something.
    """

    def __init__(self, files: Files, path: str, name: str | None = None) -> None:
        self.path = path
        self._files = files
        self._stamp = stamp_of(path)
        self._lock = threading.Lock()
        self._index: ChunkIndex | None = None
        with open_h5(files, path) as file:
            dataset = _find(file, path, name)
            self._check_elsewhere(dataset)
            self.name: str = dataset.name
            self.shape = zyx(dataset.shape)
            self.dtype = served_dtype(dataset.dtype, path)
            self.voxel_size = _voxel_size(dataset)
            self._stored = np.dtype(f"{dataset.dtype.byteorder}{self.dtype.str[1:]}")
            self._fill = np.asarray(dataset.fillvalue).astype(dataset.dtype).view(self._stored)
            plist = dataset.id.get_create_plist()
            self._filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
            self._check_filters()
            layout = plist.get_layout()
            plain = file.userblock_size == 0 and plist.get_external_count() == 0
            self._chunked = plain and layout == h5py.h5d.CHUNKED and self._filters in PIPELINES
            offset = dataset.id.get_offset() if plain else None
            self._flat: Flat | None = None
            if offset is not None and layout == h5py.h5d.CONTIGUOUS:
                self._flat = Flat(path, self.shape, self._stored, offset)
            whole_stream = self._chunked and self._filters == (Filter.DEFLATE,)
            self.is_deflate = whole_stream and self._stored == self.dtype
            self.chunk = zyx(dataset.chunks or Flat(path, self.shape, self._stored).chunk)

    def _check_filters(self) -> None:
        """Refuse a dataset whose filters the library cannot undo, not even with plug-ins."""
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401 - it registers its filters
        missing = [each for each in self._filters if not h5py.h5z.filter_avail(each)]
        if missing:
            raise MissingLibrary(
                f"{self.path}: {self.name} is packed with the HDF5 filters {missing}, which are "
                "not here; pip install 'bfly[filters]' has the usual ones."
            )

    def _check_elsewhere(self, dataset: Any) -> None:
        """Refuse a dataset that brings in files from outside the allowed folders."""
        self._files.resolve(dataset.file.filename)
        if dataset.is_virtual:
            for source in dataset.virtual_sources():
                if source.file_name != ".":
                    self._files.resolve(_beside(self.path, source.file_name))
        for name, _, _ in dataset.external or ():
            self._files.resolve(_beside(self.path, name))

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Tell of a dataset without chunks what `Flat.reads_at_once` tells."""
        return self._flat is not None and self._flat.reads_at_once(box)

    def read(self, box: BoundingBox) -> Voxels:
        """Read a box that lies inside the dataset; C order, `dtype`, zyx.

        Raises
        ------
        SourceError
            A chunk is damaged or the file ends early.
        SourceChanged
            The file is no longer the one that was opened.
        """
        if self._chunked:
            return self._read_chunks(box)
        if self._flat is None:
            return self._read_h5py(box)
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(box, voxels)
        return voxels

    def read_into(self, box: BoundingBox, voxels: Voxels) -> None:
        """Read as `read`, to the place (zyx, the box's shape) where the voxels are wanted."""
        if self._chunked:
            for place, chunk in self._chunks_of(box, self._chunk_index()):
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
        """Give a box of voxels (C order, `dtype`) as a zlib stream, if it is one whole chunk.

        The stream is not unpacked, which would take nearly all the time that this saves. That
        its bytes are all there is seen, and so is damage to its first two; who unpacks it
        notices any other by the Adler-32 sum at its end, so that nobody takes it for voxels.

        Raises
        ------
        SourceError, SourceChanged
            As `read`.
        """
        position = box.in_tiles(self.chunk).start
        whole = BoundingBox.of_shape((1, 1, 1), position).refined(self.chunk)
        if not self.is_deflate or box != whole or box not in BoundingBox.of_shape(self.shape):
            return None
        stored = self._chunk_index().find(position)
        if stored is None or stored[2]:
            return None
        offset, size, _ = stored
        with self._files.open(self.path) as (fd, stamp):
            self._check_unchanged(stamp)
            raw = read_exactly(fd, size, offset, self.path)
        return raw if is_zlib(raw) else None

    def _served(self, stored: Voxels) -> Voxels:
        return np.ascontiguousarray(stored).astype(self.dtype, copy=False)

    def _read_h5py(self, box: BoundingBox) -> Voxels:
        self._check_unchanged(stamp_of(self.path))
        try:
            with open_h5(self._files, self.path) as file:
                voxels = file[self.name][box.slices]
        except (OSError, KeyError) as error:
            raise SourceError(f"{self.path}: {self.name} cannot be read: {error}.") from error
        return self._served(voxels.view(self._stored))

    def _read_chunks(self, box: BoundingBox) -> Voxels:
        if BoundingBox.of_shape(self.chunk, box.start) == box and all(
            a % c == 0 for a, c in zip(box.start, self.chunk, strict=True)
        ):
            return self._served(next(self._chunks_of(box, self._chunk_index()))[1])
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(box, voxels)
        return voxels

    def _chunks_of(
        self, box: BoundingBox, index: ChunkIndex
    ) -> Iterator[tuple[BoundingBox, Voxels]]:
        """Give each chunk that touches a box, with its place; a chunk never written is fill."""
        with self._files.open(self.path) as (fd, stamp):
            self._check_unchanged(stamp)
            for position in indexes(box.in_tiles(self.chunk)):
                place = BoundingBox.of_shape(
                    self.chunk, zyx(p * c for p, c in zip(position, self.chunk, strict=True))
                )
                stored = index.find(position)
                if stored is None:
                    yield place, np.full(self.chunk, self._fill)
                else:
                    offset, size, mask = stored
                    raw = read_exactly(fd, size, offset, self.path)
                    yield place, self._decode(raw, mask, position)

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
                self._check_unchanged(stamp_of(self.path))
                with open_h5(self._files, self.path) as file:
                    self._index = ChunkIndex(file[self.name], self.shape, self.chunk)
            return self._index

    def _check_unchanged(self, stamp: Any) -> None:
        if stamp != self._stamp:
            raise SourceChanged(f"{self.path} changed on disk while it was read.")


def _beside(path: str, name: str) -> str:
    return join(dirname(path), name)


def _find(file: Any, path: str, name: str | None) -> Any:
    """Find the dataset to serve: the one named, else ``main``, else the first volume."""
    if name is not None:
        if not isinstance(file.get(name), h5py.Dataset):
            raise SourceError(f"{path} has no dataset {name}; it has {_dataset_names(file)}.")
        found = file[name]
    elif isinstance(file.get("main"), h5py.Dataset):
        found = file["main"]
    else:
        volumes = (file[n] for n in _dataset_names(file))
        found = next((d for d in volumes if d.ndim == 3), None)
        if found is None:
            raise SourceError(
                f"{path} has no dataset with three axes; it has {_dataset_names(file)}."
            )
    if found.ndim != 3 or 0 in found.shape:
        raise SourceError(
            f"{path}: the dataset {found.name} has the shape {found.shape}; "
            "allowed are three axes (z, y, x), none empty."
        )
    return found


def _voxel_size(dataset: Any) -> tuple[VoxelSize, str] | None:
    """Find the voxel size among the attributes of a dataset and of the groups it lies in."""
    holder = dataset
    while True:
        found = stated_size(dict(holder.attrs))
        if found or holder.name == "/":
            return found
        holder = holder.parent


def _dataset_names(file: Any) -> list[str]:
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)

    file.visititems(note)
    return sorted(names)
