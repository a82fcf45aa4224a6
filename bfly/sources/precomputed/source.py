"""Neuroglancer precomputed volumes, also sharded, in every encoding that TensorStore decodes.

The format: ``src/datasource/precomputed/volume.md`` in the Neuroglancer repository. Its axis order
is x, y, z, channel.
"""

from __future__ import annotations

import itertools
import math
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.geometry import zyx
from bfly.sources.precomputed.chunks import ways_of
from bfly.sources.precomputed.shards import PrecomputedShards
from bfly.sources.shared.arrays import Array
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.tensorstore import TensorSource
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bfly.geometry import BoundingBox, Zyx
    from bfly.sources.shared.arrays import Names

__all__ = ["Precomputed"]

AXES: Zyx = (2, 1, 0)

PACKED = (".gz", ".br", ".zstd")
"""Suffixes that CloudVolume adds to the names of files that it compresses."""


class Precomputed(TensorSource):
    """A volume with an ``info``. If a scale lists several chunk sizes, the first one is read.

    The ``info`` states the kind (image or segmentation), the voxel size and the voxel offset.
    """

    name = "precomputed"
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of precomputed"}
    marks = ("info",)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there is an ``info`` with scales and a data type."""
        try:
            info = KeyValueStore(path, Files([path])).json("info")
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False
        return info is not None and {"scales", "data_type"} <= {*info}

    def _arrays(self) -> dict[str, Array]:
        info = self.document("info")
        if info is None:
            raise SourceError(f"{self.path} has no info.")
        if info.get("num_channels", 1) != 1:
            raise SourceError(f"{self.path} has {info['num_channels']} channels; allowed is one.")
        if info.get("type") in ("image", "segmentation"):
            self._stated_kind = info["type"], "info type"
        scales = info["scales"]
        check_number(self.path, len(scales), LEVELS, "scales")
        finest = _resolution(scales[0], self.path)
        self._stated = (finest[2], finest[1], finest[0]), "info resolution"
        arrays = {}
        for number, scale in enumerate(scales):
            x, y, z = (a / b for a, b in zip(_resolution(scale, self.path), finest, strict=True))
            spec = {"driver": "neuroglancer_precomputed", "scale_index": number}
            place = zyx(scale.get("voxel_offset", (0, 0, 0))[::-1])
            sharded = scale.get("sharding") is not None
            stored = {} if sharded else ways_of(info, scale)
            names = self._names_of(scale)
            array = Array(spec, "", AXES, names, (z, y, x), place, stored)
            if sharded:
                array = replace(array, in_shards=True, check=self._check_of(scale))
            arrays[scale["key"]] = array
        return arrays

    def _names_of(self, scale: dict[str, Any]) -> Names:
        """Return a function that lists the files of a box: its chunks, or all shards."""
        key = scale["key"]
        self.store.check(key)
        if self.store.folder is not None:
            self._check_packed(f"{self.store.folder}/{key}")
        if scale.get("sharding") is not None:
            return self._shards(key)
        chunk, size = _chunk(scale, self.path), zyx(scale["size"][::-1])
        offset = zyx(scale.get("voxel_offset", (0, 0, 0))[::-1])

        def names(box: BoundingBox) -> Iterable[str]:
            spans = [
                [
                    f"{i * c + o}-{min((i + 1) * c, n) + o}"
                    for i in range(start // c, (stop - 1) // c + 1)
                ]
                for start, stop, c, n, o in zip(
                    box.start, box.stop, chunk, size, offset, strict=True
                )
            ]
            for z, y, x in itertools.product(*spans):
                yield f"{key}/{x}_{y}_{z}"

        return names

    def _shards(self, key: str) -> Names:
        """Watch all shards: only their indexes state which one holds a chunk."""

        def names(_box: BoundingBox) -> Iterable[str]:
            # This also watches a missing shard, and the folder of the shards.
            yield f"{key}/0.shard"
            with suppress(OSError):
                for file in sorted(os.listdir(f"{self.store.folder}/{key}")):
                    yield f"{key}/{file}"

        return names

    def _check_of(self, scale: dict[str, Any]) -> Callable[[BoundingBox], None] | None:
        """Return the size check of a scale's shards; None unless the scale is in a folder."""
        folder, limit = f"{self.store.folder}/{scale['key']}", self.files.max_chunk
        size, chunk = zyx(scale["size"][::-1]), _chunk(scale, self.path)
        shards = PrecomputedShards(self.files, folder, size, chunk, scale["sharding"], limit)
        return shards.check if self.store.folder is not None else None

    def _check_packed(self, folder: str) -> None:
        """Refuse compressed chunk files: TensorStore would find no chunks and return fill."""
        try:
            with self.files.folder(folder) as fd, os.scandir(fd) as listing:
                first = next(
                    (entry.name for entry in listing if entry.name[0] in "-0123456789"), ""
                )
        except (OSError, SourceError):
            return
        if first.endswith(PACKED):
            raise SourceError(
                f"{self.path}: {os.path.basename(folder)}/{first} is a file that CloudVolume has "
                "packed once more; write the volume with compress=False, or unpack its files."
            )


def _resolution(scale: dict[str, Any], path: str) -> list[float]:
    """Return the size of a voxel (x, y, z) in nanometres."""
    lengths = [float(size) for size in scale["resolution"]]
    if len(lengths) != 3 or not all(0 < size < math.inf for size in lengths):
        raise SourceError(f"{path}: resolution is {lengths!r:.80}; allowed are lengths above 0.")
    return lengths


def _chunk(scale: dict[str, Any], path: str) -> Zyx:
    """Return the shape (z, y, x) of a chunk."""
    return zyx(sides(scale["chunk_sizes"][0], "chunk_sizes", path)[::-1])
