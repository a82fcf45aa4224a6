"""Blosc chunks of zarr arrays, with headers that are checked before decompression."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, indexes
from bfly.sources.shared.blosc_headers import BloscHeaders
from bfly.sources.zarr.shards import ZarrShards, is_sharded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.shared.arrays import Names
    from bfly.sources.shared.axes import VolumeAxes
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["BloscInShards", "checks_of"]

CHECKSUM = "crc32c"
"""The only zarr 3 codec that may follow Blosc: it leaves the header at the start."""


def checks_of(
    meta: Mapping[str, Any], axes: VolumeAxes, names: Names, store: KeyValueStore
) -> dict[str, Any]:
    """Return the checks of the chunks of a zarr array, as parameters of `Array`.

    Parameters
    ----------
    meta : mapping
        Its ``.zarray`` or ``zarr.json``.
    axes, names
        As for `Array`.
    store : KeyValueStore
        Holds the objects.

    Raises
    ------
    SourceError
        Blosc is combined with codecs that hide its headers.
    """
    if store.is_remote:
        return {}
    if meta["zarr_format"] == 2:
        is_packed = (meta.get("compressor") or {}).get("id") == "blosc"
        size = _bytes_of(meta["chunks"], meta["dtype"])
        return {"check_object": BloscHeaders(store, size).check} if is_packed else {}
    codecs, path = meta["codecs"], store.path
    if not is_sharded(meta):
        if not _pack_last(codecs, path):
            return {}
        size = _bytes_of(meta["chunk_grid"]["configuration"]["chunk_shape"], meta["data_type"])
        return {"check_object": BloscHeaders(store, size).check}
    options = codecs[0]["configuration"]
    if not _pack_last(options["codecs"], path):
        return {}
    shards = ZarrShards.of(meta, axes)
    if shards is None:
        raise SourceError(f"{path} has blosc chunks in shards with an index of an unusual form.")
    size = _bytes_of(options["chunk_shape"], meta["data_type"])
    return {"check": BloscInShards(BloscHeaders(store, size), names, shards).check}


def _bytes_of(chunk: Sequence[int], dtype: Any) -> int:
    """Return the bytes of a chunk; an unknown data type counts as the largest, 16 bytes."""
    try:
        itemsize = int(np.dtype(dtype).itemsize)
    except TypeError:
        itemsize = 16
    return math.prod(chunk) * itemsize


def _pack_last(codecs: Sequence[Any], path: str) -> bool:
    """Return whether the codecs of a ``zarr.json`` compress with Blosc as the last step.

    Raises
    ------
    SourceError
        Another codec follows, or Blosc is in shards within shards, so a stored chunk may not
        start with the header.
    """
    if '"blosc"' not in json.dumps(codecs):
        return False
    names = [codec["name"] if isinstance(codec, dict) else codec for codec in codecs]
    names = [name for name in names if name != CHECKSUM]
    if names.count("blosc") == 1 and names[-1] == "blosc":
        return True
    raise SourceError(
        f"{path} compresses with the codecs {', '.join(map(str, names))}; allowed is blosc once, "
        f"as the last one or before {CHECKSUM}, and not in shards within shards."
    )


@dataclass(frozen=True, slots=True)
class BloscInShards:
    """Blosc headers of chunks in shards.

    Parameters
    ----------
    headers : BloscHeaders
        Checks one header.
    names : callable
        Returns the shards that hold a box, as for `Array`.
    shards : ZarrShards
        Layout of the shards.
    """

    headers: BloscHeaders
    names: Names
    shards: ZarrShards

    def check(self, box: BoundingBox) -> None:
        """Raise `SourceError` if the header of a chunk that touches a box states too much."""
        for index in indexes(box.in_tiles(self.shards.chunk)):
            self._check_chunk(BoundingBox.of_shape((1, 1, 1), index).refined(self.shards.chunk))

    def _check_chunk(self, chunk: BoundingBox) -> None:
        first: Zyx = chunk.start
        for name in self.names(BoundingBox.of_shape((1, 1, 1), first)):
            size = self.headers.store.size(name)
            if size is None:
                continue
            entry = self.headers.store.part(name, *self.shards.place(size, first))
            start = self.shards.offset(entry)
            if start is not None:
                self.headers.check(name, start)
