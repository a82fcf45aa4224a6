"""The base of formats that TensorStore reads: arrays in chunks, one for each mip."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tensorstore as ts
import xxhash
from typing_extensions import override

from bfly.errors import SourceError
from bfly.files import seen_at, stamp_of
from bfly.geometry import BoundingBox, zyx
from bfly.ladder import StoredLevel, ladder
from bfly.sources.source import Datasource, served_dtype
from bfly.sources.store import CONTEXT, PATIENCE, Store, reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.geometry import Zyx
    from bfly.sources.arrays import Array
    from bfly.sources.stored import StoredAs

__all__ = ["TensorSource"]

log = logging.getLogger(__name__)

RECHECK = 60.0
"""Seconds after which the metadata of a URL are looked at again."""

FOLDERS = 4096
"""How many folders of chunks are known to be allowed."""


class TensorSource(Datasource):
    """A folder, a zip archive or a URL with arrays.

    A derived class reads the metadata (`_arrays`); here arrays become mips, and boxes are read.
    What is not there is the array's fill value. The objects that were read in a folder are
    watched; of a URL it is the metadata, and what is read goes through the disk cache.
    """

    store: Store

    @abstractmethod
    def _arrays(self) -> dict[str, Array]:
        """Give the arrays by names for people, the finest first; set what else is stated.

        `store` is open. Raises `SourceError` where the metadata are not to be used; whatever
        else it raises is taken as damage.
        """

    def _open(self) -> None:
        self.store = Store(self.path, self.files)
        self._documents: dict[str, bytes | None] = {}
        self._allow_folder = lru_cache(FOLDERS)(self._check_folder)
        self._due = time.monotonic() + RECHECK
        if self.store.file is not None:
            self._watch(self.path)
        try:
            arrays = self._arrays()
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise SourceError(f"{self.path} has damaged metadata: {error!r}.") from error
        opened = {name: self._open_array(array) for name, array in arrays.items()}
        levels = {
            name: StoredLevel(zyx(voxels.shape), chunk, arrays[name].ratio, arrays[name].place)
            for name, (voxels, chunk) in opened.items()
        }
        rungs = ladder(self.path, levels)
        self.scales = {mip: scale for mip, (_, scale) in rungs.items()}
        self._voxels = {mip: opened[name][0] for mip, (name, _) in rungs.items()}
        self._described = {mip: arrays[name] for mip, (name, _) in rungs.items()}
        stored = self._voxels[0].dtype.numpy_dtype
        self.dtype = served_dtype(stored, self.path)
        if any(voxels.dtype.numpy_dtype != stored for voxels in self._voxels.values()):
            raise SourceError(f"{self.path} has mips of different dtypes.")

    def document(self, name: str) -> dict[str, Any] | None:
        """Read a JSON document of the store and watch it."""
        if self.store.folder is not None:
            self._watch(f"{self.store.folder}/{name}")
        data = self.store.read(name)
        if self.store.is_remote:
            self._documents[name] = data
        return self.store.parsed(name, data)

    @override
    def changed(self) -> str | None:
        """Give the first file or document that is not as it was.

        Documents of a URL are looked at once a minute; a server that is away changes nothing.
        """
        if not self.store.is_remote or time.monotonic() < self._due:
            return super().changed()
        self._due = time.monotonic() + RECHECK
        try:
            for name, data in self._documents.items():
                if self.store.read(name) != data:
                    return f"{self.path}/{name}"
        except SourceError as error:
            log.warning("%s", error)
        return None

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return tuple(self._described[mip].stored) if self.store.folder is not None else ()

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        scale, array = self.scales[mip], self._described[mip]
        box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
        (path,) = self._watch_chunks(mip, box)
        try:
            data = array.read(path, box.start)
        except FileNotFoundError:
            return None
        return None if data is None else array.stored[way](data, box.shape)

    def _open_array(self, array: Array) -> tuple[Any, Zyx]:
        """Open an array; give it as z, y, x from 0 on, and its chunk."""
        spec = {
            **array.spec,
            "kvstore": self.store.spec(array.name),
            "recheck_cached_data": "open",
            "recheck_cached_metadata": "open",
        }
        try:
            opened = ts.open(spec, read=True, open=True, context=CONTEXT).result(PATIENCE)
        except Exception as error:
            raise SourceError(f"{self.path} cannot be opened: {reason_of(error)}") from error
        read_chunk = opened.chunk_layout.read_chunk.shape or (1,) * opened.rank
        chunk = zyx([1, 1, *(read_chunk[axis] or 1 for axis in array.axes)][-3:])
        others = [axis for axis in range(opened.rank) if axis not in array.axes]
        if any(opened.shape[axis] != 1 for axis in others) or 0 in opened.shape:
            raise SourceError(
                f"{self.path}: {array.name or 'the array'} has the shape {opened.shape}; allowed "
                "are z, y and x, none empty, and other axes of one voxel."
            )
        index = [0 if axis in others else slice(None) for axis in range(opened.rank)]
        for axis in others:
            index[axis] = opened.domain.origin[axis]
        kept = sorted(array.axes)
        volume = opened[tuple(index)].transpose([kept.index(axis) for axis in array.axes])
        if len(array.axes) == 2:
            volume = volume[ts.newaxis]
        return volume[ts.d[:].translate_to[0]], chunk

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Let TensorStore read what lies here; what is afar is kept on disk tile by tile."""
        return not self.store.is_remote

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        self._watch_chunks(mip, box)
        cache = self.files.disk_cache
        if cache is None or not self.store.is_remote:
            return self._from_store(mip, box)
        key = f"{self.path} {self._version} {mip} {box.start} {box.stop}"
        packed = cache.get(key)
        if packed is None:
            voxels = self._from_store(mip, box)
            cache.set(key, bytes(imagecodecs.zstd_encode(voxels.tobytes(), level=1)))
            return voxels
        size = box.size * self.dtype.itemsize
        data = bytearray(imagecodecs.zstd_decode(packed, out=size))
        return np.frombuffer(data, self.dtype).reshape(box.shape)

    def _from_store(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        try:
            voxels = self._voxels[mip][box.slices].read().result(PATIENCE)
        except Exception as error:
            raise SourceError(f"{self.path} cannot be read: {reason_of(error)}") from error
        return np.ascontiguousarray(voxels).view(self.dtype)

    @cached_property
    def _version(self) -> str:
        """Name the state of the documents, so that of changed ones nothing old is found."""
        return xxhash.xxh3_128_hexdigest(repr(sorted(self._documents.items())).encode())

    def _watch_chunks(self, mip: int, box: BoundingBox) -> list[str]:
        """Watch the files that hold a box, and see to it that they may be read; give them."""
        folder = self.store.folder
        if folder is None:
            return []
        paths = [f"{folder}/{name}" for name in self._described[mip].names(box)]
        fresh = [path for path in paths if path not in self._stamps]
        for below in dict.fromkeys(path[: path.rindex("/")] for path in fresh):
            self._allow_folder(below)
        stamps = {}
        for path in fresh:
            stamps[path], is_link = seen_at(path)
            if is_link:
                self.files.resolve(path)
                stamps[path] = stamp_of(path)
        self._remember(stamps)
        return paths

    def _check_folder(self, path: str) -> None:
        """Refuse a folder of chunks that is, or lies below, a way out of what is allowed.

        To resolve all of a path, which is real down to the store, takes longer than to read a
        small chunk.
        """
        if path != self.store.folder:
            self._allow_folder(path[: path.rindex("/")])
            if path.endswith("/..") or seen_at(path)[1]:
                self.files.resolve(path)
