"""Neuroglancer precomputed volumes, also sharded, in every encoding that TensorStore decodes.

The format: ``src/datasource/precomputed/volume.md`` in the Neuroglancer repository. Its axis order
is x, y, z, channel.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.geometry import zyx
from bfly.sources.precomputed.chunks import ways_of
from bfly.sources.precomputed.encodings import IN_TENSORSTORE, decoder_of
from bfly.sources.precomputed.layers import StoredLayers
from bfly.sources.precomputed.names import chunk_names, right_chunk, right_shard
from bfly.sources.precomputed.packed import MARGIN, PackedChunks, endings_of, packed_object
from bfly.sources.precomputed.shards import PrecomputedShards
from bfly.sources.shared.arrays import Array
from bfly.sources.shared.axes import VolumeAxes, axes_of, parts_along
from bfly.sources.shared.chunk_keys import ChunkKeys
from bfly.sources.shared.own_chunks import OwnChunks
from bfly.sources.shared.probe import probe, probed
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, check_number, sides
from bfly.storage.part import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bfly.geometry import BoundingBox, Zyx
    from bfly.sources.shared.arrays import Names
    from bfly.sources.shared.kvstore import KeyValueStore
    from bfly.storage.part import Part

__all__ = ["Precomputed"]


class Precomputed(PackedChunks):
    """A volume with an ``info``. If a scale lists several chunk sizes, the first one is read.

    The ``info`` states the kind (image or segmentation), the voxel size and the voxel offset.
    """

    name = "precomputed"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of precomputed"}
    marks = ("info",)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there is an ``info`` with scales and a data type."""
        try:
            info = probe(path)("info")
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False
        return info is not None and {"scales", "data_type"} <= {*info}

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the channels of the volume."""
        info = probed(path, files)("info") or {}
        return parts_along(_axes(info, path, WHOLE).lengths, path)

    def _arrays(self) -> dict[str, Array]:
        info = self.document("info")
        if info is None:
            raise SourceError(f"{self.path} has no info.")
        self.layers = StoredLayers(self.store, info, self._watch)
        axes = _axes(info, self.path, self.part)
        if info.get("type") in ("image", "segmentation"):
            self._stated_kind = info["type"], "info type"
        scales = info["scales"]
        check_number(self.path, len(scales), LEVELS, "scales")
        finest = _resolution(scales[0], self.path)
        # Butterfly states that it does not know the size: the format has no other way.
        if info.get("voxel_size_source") != "assumed":
            self._stated = (finest[2], finest[1], finest[0]), "info resolution"
            self.layers.voxel_size = self._stated[0]
        arrays, plain = {}, _as_raw(info)
        for number, scale in enumerate(scales):
            x, y, z = (a / b for a, b in zip(_resolution(scale, self.path), finest, strict=True))
            spec = {"driver": "neuroglancer_precomputed", "scale_index": number}
            place = zyx(scale.get("voxel_offset", (0, 0, 0))[::-1])
            sharded = scale.get("sharding") is not None
            stored = {} if sharded or axes.lengths else ways_of(info, scale)
            names, keys = self._names_of(scale)
            array = Array(
                spec, "", axes.zyx, names, (z, y, x), place, stored, at=axes.at, keys=keys
            )
            shards = self._shards_of(scale) if sharded else None
            if shards is not None:
                local = self.store.folder is not None
                array = replace(array, in_shards=True, check=shards.check if local else None)
            if scale["encoding"] not in IN_TENSORSTORE:
                own = self._own(info, scale, keys.endings, shards)
                array = replace(array, document=("info", plain), own=own)
            arrays[scale["key"]] = array
        return arrays

    def _names_of(self, scale: dict[str, Any]) -> tuple[Names, ChunkKeys]:
        """Return the names of a scale's files: those of a box, its chunks or all shards."""
        key = scale["key"]
        self.store.check(key)
        sharding = scale.get("sharding")
        if sharding is not None:
            # `_check_of` refuses other values.
            bits = sharding["shard_bits"] if type(sharding["shard_bits"]) is int else 0
            return self._shards(key), ChunkKeys(key, right_shard(min(max(bits, 0), 64)))
        chunk, size = _chunk(scale, self.path), zyx(scale["size"][::-1])
        offset = zyx(scale.get("voxel_offset", (0, 0, 0))[::-1])
        endings = () if self.store.is_remote else endings_of(self.store, key)
        keys = ChunkKeys(key, right_chunk(size, chunk, offset), endings)
        return chunk_names(key, size, chunk, offset), keys

    def _shards(self, key: str) -> Names:
        """Watch all shards: only their indexes state which one holds a chunk."""

        def names(_box: BoundingBox) -> Iterable[str]:
            # This also watches a missing shard, and the folder of the shards.
            yield f"{key}/0.shard"
            with suppress(OSError):
                for file in sorted(os.listdir(f"{self.store.folder}/{key}")):
                    yield f"{key}/{file}"

        return names

    def _shards_of(self, scale: dict[str, Any]) -> PrecomputedShards:
        """Return the shards of a scale; they are read here only if the scale is in a folder."""
        folder, limit = f"{self.store.folder}/{scale['key']}", self.files.max_chunk
        size, chunk = zyx(scale["size"][::-1]), _chunk(scale, self.path)
        return PrecomputedShards(self.files, folder, size, chunk, scale["sharding"], limit)

    def _own(
        self,
        info: dict[str, Any],
        scale: dict[str, Any],
        endings: Sequence[str],
        shards: PrecomputedShards | None,
    ) -> OwnChunks:
        """Return how the chunks of a scale are read whose encoding TensorStore does not have."""
        channels = info.get("num_channels", 1)
        decode = decoder_of(scale["encoding"], info["data_type"], channels, self.path)
        chunk = _chunk(scale, self.path)
        if shards is None:
            nbytes = math.prod(chunk) * channels * np.dtype(info["data_type"]).itemsize
            return OwnChunks(decode, packed_object(endings, 2 * nbytes + MARGIN))
        if self.store.folder is None:
            raise SourceError(
                f"{self.path}: shards with the encoding {scale['encoding']} are read only in a "
                "local folder."
            )

        def fetch(_store: KeyValueStore, _name: str, start: Zyx, _limit: int) -> bytes | None:
            return shards.read(zyx(a // c for a, c in zip(start, chunk, strict=True)))

        return OwnChunks(decode, fetch)


def _as_raw(info: dict[str, Any]) -> dict[str, Any]:
    """Return an ``info`` that TensorStore takes: encodings that it lacks are raw there."""
    scales = [
        scale if scale["encoding"] in IN_TENSORSTORE else {**scale, "encoding": "raw"}
        for scale in info["scales"]
    ]
    return {**info, "scales": scales}


def _axes(info: dict[str, Any], path: str, part: Part) -> VolumeAxes:
    """Return the axes of all scales, and the channel."""
    (channels,) = sides([info.get("num_channels", 1)], "num_channels", path)
    return axes_of("xyzc", (*sides(info["scales"][0]["size"], "size", path), channels), path, part)


def _resolution(scale: dict[str, Any], path: str) -> list[float]:
    """Return the size of a voxel (x, y, z) in nanometres."""
    lengths = [float(size) for size in scale["resolution"]]
    if len(lengths) != 3 or not all(0 < size < math.inf for size in lengths):
        raise SourceError(f"{path}: resolution is {lengths!r:.80}; allowed are lengths above 0.")
    return lengths


def _chunk(scale: dict[str, Any], path: str) -> Zyx:
    """Return the shape (z, y, x) of a chunk."""
    return zyx(sides(scale["chunk_sizes"][0], "chunk_sizes", path)[::-1])
