"""Chunks of precomputed volumes that are compressed once more, as files with an ending.

CloudVolume stores local files like this, as cloudfiles does (its ``interfaces.py``): the file of
the chunk ``0-64_0-64_0-64`` is ``0-64_0-64_0-64.gz``. TensorStore does not find these files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import BoundingBox, indexes
from bfly.sources.codecs.streams import unpacked
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.frames import is_gzip, is_zstd
from bfly.sources.shared.described import Memory
from bfly.sources.shared.sample import sample_of
from bfly.sources.shared.tensorstore import TensorSource
from bfly.storage.limits import check_length

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.shared.kvstore import KeyValueStore

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["CODINGS", "ENDINGS", "FORMATS", "MARGIN", "PackedChunks", "endings_of", "packed_object"]

MARGIN = 1 << 20
"""Bytes that a chunk may have beyond twice its voxels: tables of ids, headers."""

FORMATS = {".gz": "gzip", ".br": "brotli", ".zstd": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""Formats of `bfly.sources.codecs.streams` by ending, as cloudfiles tries them."""

ENDINGS = tuple(FORMATS)
"""All endings, in that order."""

CODINGS = {".gz": "gzip", ".br": "br", ".zstd": "zstd"}
"""HTTP's content codings of files, by ending."""

CHECKS = {".gz": is_gzip, ".zstd": is_zstd}
"""Checks of voxels, without decompression; that of zstd refuses what HTTP does not allow."""


class PackedChunks(TensorSource):
    """A volume in which some or all chunks may be files with one of `ENDINGS`.

    A chunk that is there without an ending is read as it is.
    """

    _packed_mips: frozenset[int] = frozenset()
    """Mips in which a compressed chunk was read."""

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Return false where chunks are decompressed here: they are cached, tile by tile."""
        return mip not in self._packed_mips and super().reads_at_once(mip, box)

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        plain, endings = super().stored_as(mip), self._described[mip].keys.endings
        codings = [CODINGS[ending] for ending in endings if ending in CODINGS]
        return (*plain, *[StoredAs(way.format, coding) for coding in codings for way in plain])

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        if not way.coding:
            return super().read_encoded(mip, index, way)
        scale, array = self.scales[mip], self._described[mip]
        box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
        (name,) = array.names(box)
        ending = self._packed_in(mip, box).get(name, "")
        if CODINGS.get(ending) != way.coding:
            return None
        data, what, most = self._packed_file(mip, name, ending)
        check, nbytes = CHECKS.get(ending), box.size * self.dtype.itemsize
        if way.format == "raw" and check is not None:
            return data if check(data, nbytes) else None
        content = unpacked(data, FORMATS[ending], most, what)
        return data if array.stored[StoredAs(way.format, "")](content, box.shape) else None

    @override
    def _read_packed(self, mip: int, box: BoundingBox, paths: Sequence[str]) -> Voxels | None:
        if not self._described[mip].keys.endings:
            return None
        if self.store.folder is not None and all(map(self._stamps.get, paths)):
            return None
        packed = self._packed_in(mip, box)
        if not packed or self._described[mip].own is not None:
            return None
        self._packed_mips |= {mip}
        scale, array = self.scales[mip], self._described[mip]
        voxels = np.empty(box.shape, self.dtype)
        for index in indexes(box.in_tiles(scale.chunk)):
            part = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & box
            (name,) = array.names(part)
            if name in packed:
                found = self._unpacked(mip, name, packed[name], part)
            else:
                found = self._read_inside(mip, part)
            voxels[part.relative_to(box.start).slices] = found
        return voxels

    def _packed_in(self, mip: int, box: BoundingBox) -> dict[str, str]:
        """Return the endings of the compressed chunks that touch a box, by their names."""
        array = self._described[mip]
        missing = [name for name in array.names(box) if not self._is_there(name)]
        packed = {
            name: next((end for end in array.keys.endings if self._is_there(name + end)), "")
            for name in missing
        }
        return {name: ending for name, ending in packed.items() if ending}

    def _is_there(self, name: str) -> bool:
        """Return whether there is an object, and watch it: it may come or go."""
        if self.store.folder is None:
            return name in self.store.entries
        path = f"{self.store.folder}/{name}"
        self._watch(path)
        return self._stamps.get(path) is not None

    def _packed_file(self, mip: int, name: str, ending: str) -> tuple[bytes, str, int]:
        """Return a compressed chunk, its name in messages, and the most that it may unpack to."""
        what = f"{self.path}: {name}{ending}"
        size = self.store.size(name + ending)
        if size is None:
            raise SourceChanged(f"{what} changed on disk while it was read.")
        check_length(what, size, self.files.max_chunk)
        level = self._levels[mip]
        shape = map(min, level.stored_chunk, level.stored_shape)
        most = 2 * math.prod(shape) * self.dtype.itemsize + MARGIN
        return self.store.part(name + ending, 0, size), what, most

    def _unpacked(self, mip: int, name: str, ending: str, part: BoundingBox) -> Voxels:
        """Read a part of a chunk that is a compressed file."""
        packed, what, most = self._packed_file(mip, name, ending)
        data = unpacked(packed, FORMATS[ending], most, what)
        array, memory = self._described[mip], Memory({name: data})
        try:
            opened = self._levels[mip].open(memory.spec(array.name), memory.context)
            return self._voxels(opened, part)
        except SourceError as error:
            raise SourceError(f"{what} holds no chunk of the volume: {error}") from error


def packed_object(
    endings: Sequence[str], most: int
) -> Callable[[KeyValueStore, str, Zyx, int], bytes | None]:
    """Return a function that reads a chunk that is a file, perhaps with one of these endings.

    Parameters
    ----------
    endings : sequence of str
        Some of `ENDINGS`.
    most : int
        Bytes that the file may unpack to.
    """

    def fetch(store: KeyValueStore, name: str, _start: Zyx, limit: int) -> bytes | None:
        data = store.stored(name, limit)
        for ending in endings if data is None else ():
            packed = store.stored(name + ending, limit)
            if packed is not None:
                what = f"{store.path}: {name}{ending}"
                return unpacked(packed, FORMATS[ending], min(most, limit), what)
        return data

    return fetch


def endings_of(store: KeyValueStore, folder: str) -> tuple[str, ...]:
    """Return the endings that the chunks in a folder may have.

    Those of all files, if these are few. ``.gz`` is always among them: CloudVolume writes it
    unless told otherwise, also into a folder that is served.
    """
    names, is_all = sample_of(store, folder)
    if not is_all or not names:
        return ENDINGS
    return tuple(
        ending
        for ending in ENDINGS
        if ending == ENDINGS[0] or any(name.endswith(ending) for name in names)
    )
