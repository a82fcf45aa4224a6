"""Zarr chunks that are served without decoding."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.sources.encoded_chunks import StoredAs, packed_by
from bfly.sources.voxel_types import is_converted
from bfly.sources.zarr.shards import is_sharded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import Check, StoredForms

__all__ = ["ways_of"]


def ways_of(meta: Mapping[str, Any]) -> StoredForms:
    """Return the stored forms of the chunks of an array with the axes z, y and x.

    Parameters
    ----------
    meta : mapping
        Its ``.zarray`` or ``zarr.json``.

    Returns
    -------
    mapping
        Empty unless a chunk is voxels in C order, little-endian, compressed at most once.
    """
    try:
        return _of_zarr2(meta) if meta["zarr_format"] == 2 else _of_zarr3(meta)
    except (KeyError, TypeError, ValueError):
        # TensorStore raises a clearer error, or supports what this function does not.
        return {}


def _of_zarr2(meta: Mapping[str, Any]) -> StoredForms:
    if meta.get("filters") or meta["order"] != "C":
        return {}
    compressor = meta["compressor"]
    by = compressor["id"] if compressor else "raw"
    return _packed(np.dtype(meta["dtype"]), by, meta["chunks"])


def _of_zarr3(meta: Mapping[str, Any]) -> StoredForms:
    if not is_sharded(meta):
        chunk = meta["chunk_grid"]["configuration"]["chunk_shape"]
        return _of_codecs(meta, meta["codecs"], chunk)
    options = meta["codecs"][0]["configuration"]
    ways = _of_codecs(meta, options["codecs"], options["chunk_shape"])
    # A damaged shard index is only detected in compressed chunks.
    return {way: vouched for way, vouched in ways.items() if way != StoredAs("raw", "")}


def _of_codecs(meta: Mapping[str, Any], listed: Sequence[Any], chunk: Sequence[int]) -> StoredForms:
    codecs: list[Any] = [{"name": item} if isinstance(item, str) else item for item in listed]
    first, *rest = [codec["name"] for codec in codecs]
    if first != "bytes" or len(rest) > 1:
        return {}
    endian = (codecs[0].get("configuration") or {}).get("endian", "little")
    dtype = np.dtype(meta["data_type"]).newbyteorder(endian)
    return _packed(dtype, rest[0] if rest else "raw", chunk)


def _packed(dtype: np.dtype[Any], compressor: str, chunk: Sequence[int]) -> StoredForms:
    # Booleans are excluded: a stored True may be any value except 0.
    if dtype.kind not in "iuf" or is_converted(dtype) or dtype != dtype.newbyteorder("<"):
        return {}
    ways = packed_by(compressor, dtype.itemsize)
    return {way: partial(_of_whole, vouched, math.prod(chunk)) for way, vouched in ways.items()}


def _of_whole(vouched: Check, size: int, data: bytes, shape: Zyx) -> bytes | None:
    """Return a chunk inside the volume; None for an edge chunk, which is stored whole."""
    return vouched(data, shape) if math.prod(shape) == size else None
