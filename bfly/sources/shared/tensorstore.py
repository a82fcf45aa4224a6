"""Base of formats that TensorStore reads: chunked arrays, one for each mip."""

from __future__ import annotations

import logging
import math
import time
from abc import abstractmethod
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import xxhash
from typing_extensions import override

from bfly.errors import Oversized, SourceChanged, SourceError
from bfly.geometry import BoundingBox, ceil_div
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.shared.described import Described, Memory, documents_of
from bfly.sources.shared.kvstore import PATIENCE, KeyValueStore, failure
from bfly.sources.shared.link_guard import LinkGuard
from bfly.sources.shared.own_chunks import read_own
from bfly.sources.shared.written import written
from bfly.sources.source import Datasource
from bfly.sources.voxel_types import served_dtype
from bfly.storage.files import reading, stamp_to_read
from bfly.storage.limits import LEVELS, check_chunk, check_length, check_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.shared.arrays import Array
    from bfly.storage.files import Stamp

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TensorSource"]

log = logging.getLogger(__name__)

RECHECK = 60.0
"""Seconds between two checks of the metadata behind a URL."""

COPIED = 256 << 20
"""Bytes of files that are copied into memory for one box, in folders that keep changing."""

CHUNKS = 1 << 18
"""Most chunks that are read at once: their names are listed, and each may be a file."""

SMALLEST = 64
"""Least voxels of a chunk: finding millions of smaller ones takes hours for any request."""


class TensorSource(Datasource):
    """A folder, a zip archive or a URL with arrays.

    A derived class reads the metadata (`_arrays`); this class maps arrays to mips and reads
    boxes. A missing chunk has the array's fill value. In a folder, the objects that were read
    are watched. Behind a URL, the metadata are, and voxels go through the disk cache.
    """

    store: KeyValueStore

    @abstractmethod
    def _arrays(self) -> dict[str, Array]:
        """Return the arrays by readable names, the finest first; set other stated values.

        `store` is open. Raises `SourceError` if the metadata cannot be used; any other error
        counts as damage.
        """

    def _open(self) -> None:
        self.store = KeyValueStore(self.path, self.files)
        self._documents: dict[str, bytes | None] = {}
        self._due = time.monotonic() + RECHECK
        if self.store.file is not None:
            self._watch(self.path)
        try:
            arrays = written(self.store, self._arrays(), self._watch)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise SourceError(f"{self.path} has damaged metadata: {error!r}.") from error
        check_number(self.path, len(arrays), LEVELS, "levels")
        documents = Memory({**self._documents, **documents_of(arrays.values())})
        described = {name: Described(array, documents, self.path) for name, array in arrays.items()}
        most = {name: self._largest_object(each) for name, each in described.items()}
        levels = {
            name: StoredLevel(each.shape, each.chunk, each.array.ratio, each.array.place)
            for name, each in described.items()
        }
        rungs = ladder(self.path, levels)
        self.scales = {mip: scale for mip, (_, scale) in rungs.items()}
        self.level_names = {mip: name for mip, (name, _) in rungs.items()}
        self._levels = {mip: described[name] for mip, (name, _) in rungs.items()}
        self._described = {mip: arrays[name] for mip, (name, _) in rungs.items()}
        self._most = {mip: most[name] for mip, (name, _) in rungs.items()}
        self._stored_dtype = stored = self._levels[0].dtype
        self.dtype = served_dtype(stored, self.path)
        if any(each.dtype != stored for each in self._levels.values()):
            raise SourceError(f"{self.path} has mips of different dtypes.")
        self._reading = self._anew()

    def document(self, name: str) -> dict[str, Any] | None:
        """Read a JSON document of the store and watch it."""
        if self.store.folder is not None:
            self._watch(f"{self.store.folder}/{name}")
        data = self.store.read(name)
        self._documents[name] = data
        return self.store.parsed(name, data)

    @override
    def changed(self) -> str | None:
        """Return the first file or document that changed, None if none did.

        Documents behind a URL are checked once a minute; an absent server changes nothing. If
        it was absent when the kind was to be decided, the channel counts as changed.
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
        return self.path if self.is_unread else None

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return tuple(self._described[mip].stored) if self.store.folder is not None else ()

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        scale, array = self.scales[mip], self._described[mip]
        box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
        (path,) = self._watch_chunks(mip, box)
        try:
            data = array.read(self.files, path, box.start)
        except FileNotFoundError:
            return None
        return None if data is None else array.stored[way](data, box.shape)

    def _largest_object(self, described: Described) -> int:
        """Return the most bytes that an object of an array may have; 0 if none may be stored.

        A chunk that is larger than its volume may be missing. If it is stored, TensorStore
        would allocate its full size.
        """
        limit, itemsize = self.files.max_chunk, described.dtype.itemsize
        stored, chunk = described.stored_shape, described.stored_chunk
        check_chunk(self.path, "a chunk", list(map(min, chunk, stored)), itemsize, limit)
        count = math.prod(ceil_div(n, c) for n, c in zip(stored, chunk, strict=True))
        if math.prod(chunk) < SMALLEST and count > CHUNKS:
            raise SourceError(
                f"{self.path} has {count} chunks of {math.prod(chunk)} voxels; more than {CHUNKS} "
                f"have to have {SMALLEST} voxels or more."
            )
        if math.prod(chunk) * itemsize > limit:
            if self.store.folder is None:
                check_chunk(self.path, "a chunk", chunk, itemsize, limit)
            return 0
        if described.array.in_shards:
            return max(limit, 2 * math.prod(stored) * itemsize)
        return limit

    def _check_stored(self, mip: int, stamps: Mapping[str, Stamp]) -> None:
        """Raise `SourceError` if a chunk's file is too long for what it may hold."""
        most, check = self._most[mip], self._described[mip].check_object
        for path, stamp in stamps.items():
            if stamp is not None and stamp[1] > most:
                if not most:
                    raise Oversized(
                        f"{path} is a chunk that unpacks to more bytes than max-chunk-size, "
                        f"{self.files.max_chunk}."
                    )
                check_length(path, stamp[1], most)
            if stamp is not None and check is not None:
                check(path.removeprefix(f"{self.store.folder}/"))

    def _check_entries(self, mip: int, box: BoundingBox) -> None:
        """Raise `SourceError` if an archive's entry is too long for what it may hold."""
        entries, array = self.store.entries, self._described[mip]
        for name in array.names(box) if entries else ():
            check_length(f"{self.path}: {name}", entries.get(name, 0), self._most[mip])
            if array.check_object is not None:
                array.check_object(name)

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Return true for local boxes that TensorStore reads; others are cached, tile by tile."""
        own = self._described[mip].own
        few = box.in_tiles(self.scales[mip].chunk).size <= CHUNKS
        return few and not self.store.is_remote and (own is None or bool(own.refused))

    def _read_packed(self, mip: int, box: BoundingBox, paths: Sequence[str]) -> Voxels | None:
        """Read a box with chunks that TensorStore does not find; return None for any other.

        `paths` are the files that hold the box, which are watched.
        """
        return None

    def _read_inside(self, mip: int, box: BoundingBox) -> Voxels:
        chunks = box.in_tiles(self.scales[mip].chunk).size
        check_number(self.path, chunks, CHUNKS, "chunks in a part that is read at once")
        paths = self._watch_chunks(mip, box)
        if (unpacked := self._read_packed(mip, box, paths)) is not None:
            return unpacked
        if (check := self._described[mip].check) is not None:
            check(box)
        cache = self.files.disk_cache
        if cache is None or not self.store.is_remote:
            return self.files.spared(partial(self._from_store, mip, box, paths))
        key = f"{self.path} {self._version} {mip} {box.start} {box.stop}{self._part}"
        packed = cache.get(key)
        if packed is None:
            voxels = self._from_store(mip, box, paths)
            cache.set(key, bytes(imagecodecs.zstd_encode(voxels.tobytes(), level=1)))
            return voxels
        size = box.size * self.dtype.itemsize
        data = bytearray(imagecodecs.zstd_decode(packed, out=size))
        return np.frombuffer(data, self.dtype).reshape(box.shape)

    def _from_store(self, mip: int, box: BoundingBox, paths: list[str]) -> Voxels:
        array = self._described[mip]
        if array.own is None:
            return self._from_tensorstore(mip, box, paths)
        if array.own.refused:
            try:
                return self._from_tensorstore(mip, box, paths)
            except SourceError as error:
                if array.own.refused not in str(error):
                    raise
        return read_own(array.own, self.store, array, self._levels[mip], box, self.dtype)

    def _from_tensorstore(self, mip: int, box: BoundingBox, paths: list[str]) -> Voxels:
        reading = self._reading
        if reading.guard is not None and reading.guard.is_full:
            reading = self._reading = self._anew()
        volume = reading.volumes.get(mip)
        if volume is None:
            volume = self._levels[mip].open(self.store.spec(self._described[mip].name))
            reading.volumes[mip] = volume
        if reading.guard is None:
            return self._voxels(volume, box)
        folders = reading.guard.before(paths)
        if folders is None:
            return self._from_copies(mip, box)
        voxels = self._voxels(volume, box)
        if reading.guard.holds(folders):
            return voxels
        # TensorStore may have cached what it read: later reads need new arrays.
        self._reading = self._anew()
        return self._from_copies(mip, box)

    def _from_copies(self, mip: int, box: BoundingBox) -> Voxels:
        """Read a box from files that are opened here, or from copies of them in memory.

        This is slower, and correct whatever changes in the folders meanwhile.
        """
        array, level = self._described[mip], self._levels[mip]
        if self.store.file is not None:
            with self.store.checked(array.name) as spec:
                return self._voxels(level.open(spec), box)
        copies, left = Memory({}), COPIED
        for name in array.names(box):
            path = f"{self.store.folder}/{name}"
            try:
                with self.files.file(path) as file, reading(path):
                    data = file.read(left + 1)
            except FileNotFoundError:
                continue
            left -= len(data)
            if left < 0:
                raise SourceChanged(f"{path} is in a folder that changes while it is read.")
            copies.add(name, data)
        return self._voxels(level.open(copies.spec(array.name), copies.context), box)

    def _voxels(self, volume: Any, box: BoundingBox) -> Voxels:
        try:
            voxels = volume[box.slices].read().result(PATIENCE)
        except Exception as error:
            raise failure(f"{self.path} cannot be read", error) from error
        return np.ascontiguousarray(voxels).view(self.dtype)

    @cached_property
    def _version(self) -> str:
        """Hash of the documents, in the keys of the disk cache: after a change, none matches."""
        return xxhash.xxh3_128_hexdigest(repr(sorted(self._documents.items())).encode())

    def _watch_chunks(self, mip: int, box: BoundingBox) -> list[str]:
        """Watch and return the files that hold a box; raise if one is too long."""
        if self.store.is_remote:
            return []
        if self.store.folder is None:
            self._check_entries(mip, box)
            return [self.store.file or self.path]
        paths = [f"{self.store.folder}/{name}" for name in self._described[mip].names(box)]
        fresh = [path for path in paths if path not in self._stamps]
        stamps = {path: stamp_to_read(path) for path in fresh}
        self._check_stored(mip, stamps)
        self._remember(stamps)
        return paths

    def _anew(self) -> _Reading:
        """Return a new reading state, which uses nothing that TensorStore cached before."""
        needed = not (self.store.is_remote or self.files.all_allowed)
        return _Reading(LinkGuard(self.files) if needed else None, {})


class _Reading(NamedTuple):
    """Open arrays by mip, and the guard that only allowed files are read."""

    guard: LinkGuard | None
    volumes: dict[int, Any]
