"""Chunks in the shards of zarr 3 that are decoded here, one by one.

The format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.sources.codecs.checksums import crc32c
from bfly.sources.zarr.shards import ENTRY, ZarrShards
from bfly.storage.limits import check_length
from bfly.storage.lru_cache import LruCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.sources.shared.axes import VolumeAxes
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["OwnShards"]

KEPT = 16 << 20
"""Bytes of indexes that are kept: a chunk behind a URL shall not need another read."""


@dataclass(frozen=True, slots=True)
class OwnShards:
    """The shards of an array.

    Parameters
    ----------
    shards : ZarrShards
        Their layout.
    kept : LruCache
        Indexes of shards behind a URL, by name.
    """

    shards: ZarrShards
    kept: LruCache = field(default_factory=lambda: LruCache(KEPT))

    @classmethod
    def of(cls, meta: Mapping[str, Any], axes: VolumeAxes, path: str) -> OwnShards:
        """Return the shards of an array; the parameters are those of `ZarrShards.of`.

        Raises
        ------
        SourceError
            Their index has an unusual form.
        """
        shards = ZarrShards.of(meta, axes)
        if shards is None:
            raise SourceError(
                f"{path} has shards with an index of an unusual form; allowed are the codecs "
                "bytes, little-endian, and crc32c after it."
            )
        return cls(shards)

    def fetch(self, store: KeyValueStore, name: str, start: Zyx, limit: int) -> bytes | None:
        """Return a stored chunk; None if it was never written. See `own_chunks.Fetch`.

        Raises
        ------
        SourceError
            The index is damaged, or the chunk is not where it states.
        """
        index = self._index(store, name)
        if index is None:
            return None
        at, _ = self.shards.place(len(index), start)
        place = self.shards.entry(index[at : at + ENTRY])
        if place is None:
            return None
        offset, size = place
        what = f"{store.path}: a chunk in {name}"
        check_length(what, size, limit)
        data = store.part(name, offset, size)
        if len(data) != size:
            raise SourceError(f"{what} is damaged: of its {size} bytes {len(data)} are there.")
        return data

    def _index(self, store: KeyValueStore, name: str) -> bytes | None:
        """Return the index of a shard, with its checksum; None if there is no shard."""
        known: bytes = self.kept.get(name) if store.is_remote else b""
        if known:
            return known
        size = self.shards.index_size
        first = -size if self.shards.at_end else 0
        if store.is_remote:
            index = store.part(name, first, size)
            if not index:
                return None
        else:
            there = store.size(name)
            if there is None:
                return None
            index = store.part(name, there + first if first else 0, size) if there >= size else b""
        if len(index) != size or not self._is_intact(index):
            raise SourceError(f"{store.path}: the index of the shard {name} is damaged.")
        if store.is_remote:
            self.kept.set(name, index)
        return index

    def _is_intact(self, index: bytes) -> bool:
        count = self.shards.checksum
        return not count or crc32c(index[:-count]) == int.from_bytes(index[-count:], "little")
