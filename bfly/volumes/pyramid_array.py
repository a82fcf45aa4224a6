"""The array that a kept mip is: sharded zarr 3 whose inner chunks are the mip's tiles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from bfly.geometry import fit_tile

if TYPE_CHECKING:
    import numpy as np

    from bfly.geometry import Zyx
    from bfly.volumes.level import Level

__all__ = ["array_spec", "context", "shard_shape"]

SHARD = 16 << 20
"""Bytes of voxels in a shard: each tile that is added has its whole shard written anew."""


def shard_shape(level: Level, dtype: np.dtype[Any]) -> Zyx:
    """Return the shape of a shard, a multiple of the tile."""
    return fit_tile(level.tile, level.whole.shape, dtype.itemsize, SHARD, 1 << 62)


@cache
def context() -> ts.Context:
    """Return what all stores share: the cache of tiles is the core's, none is held here.

    Nothing waits until a disk confirms that it wrote; what a power failure spoils is noticed by
    its checksum.
    """
    return ts.Context({"cache_pool": {"total_bytes_limit": 0}, "file_io_sync": False})


def array_spec(
    folder: str, level: Level, dtype: np.dtype[Any], told: dict[str, Any]
) -> dict[str, Any]:
    """Return the array of a mip in a folder, as TensorStore takes it; `told` is for people."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    tiles = [
        little if dtype.itemsize > 1 else {"name": "bytes"},
        {"name": "zstd", "configuration": {"level": 1}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": level.tile,
        "codecs": tiles,
        "index_codecs": [little, {"name": "crc32c"}],
    }
    grid = {"chunk_shape": shard_shape(level, dtype)}
    metadata = {
        "shape": level.whole.shape,
        "data_type": dtype.name,
        "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": grid},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": ["z", "y", "x"],
        "attributes": {"bfly": told},
    }
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": folder + "/"},
        "metadata": metadata,
        # A tile of zeros is written like any other: what is not there was not computed.
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
