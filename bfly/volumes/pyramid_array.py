"""Array format of a kept mip: sharded zarr 3, with the mip's tiles as inner chunks."""

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
"""Bytes of voxels in a shard: each added tile rewrites its whole shard."""


def shard_shape(level: Level, dtype: np.dtype[Any]) -> Zyx:
    """Return the shape of a shard, a multiple of the tile."""
    return fit_tile(level.tile, level.whole.shape, dtype.itemsize, SHARD, 1 << 62)


@cache
def context() -> ts.Context:
    """Return the TensorStore context of all stores: no cache, since the core caches tiles.

    Writes do not wait for fsync. A checksum detects tiles that a power failure damaged.
    """
    return ts.Context({"cache_pool": {"total_bytes_limit": 0}, "file_io_sync": False})


def array_spec(
    folder: str, level: Level, dtype: np.dtype[Any], told: dict[str, Any]
) -> dict[str, Any]:
    """Return the TensorStore spec of a mip in a folder; `told` is information for readers."""
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
        # Tiles of zeros are written too: a missing tile means one that is not computed yet.
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
