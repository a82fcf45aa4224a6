"""Zarr arrays with codecs that TensorStore does not have: those of numcodecs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.sources.codecs.chain import Chain, check_codec, step_of
from bfly.sources.codecs.filters import Step
from bfly.sources.shared.own_chunks import Decode, OwnChunks
from bfly.sources.zarr.own_shards import OwnShards
from bfly.sources.zarr.shards import SHARDING, is_sharded
from bfly.storage.limits import sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bfly.sources.shared.axes import VolumeAxes

__all__ = ["own_chunks"]

Document = dict[str, Any]

OF_ZARR_2 = ("blosc", "bz2", "gzip", "zlib", "zstd")
"""Compressors of zarr 2 that TensorStore has."""

OF_ZARR_3 = ("blosc", "bytes", "crc32c", "gzip", SHARDING, "transpose", "zstd")
"""Codecs of zarr 3 that TensorStore has."""

VALUES = ("astype", "delta", "fixedscaleoffset", "packbits", "quantize")
"""Codecs of numcodecs that in zarr 3 are applied to values, before these are bytes."""

PREFIX = "numcodecs."
"""Before the names of codecs in zarr 3. Some writers state those of bytes without it."""

PLAIN = [{"name": "bytes", "configuration": {"endian": "little"}}]


def own_chunks(
    meta: Mapping[str, Any], axes: VolumeAxes, path: str, limit: int
) -> tuple[Document, OwnChunks] | None:
    """Return how the chunks of an array are decoded here; None if TensorStore decodes them.

    Parameters
    ----------
    meta : mapping
        Its ``.zarray`` or ``zarr.json``, see `bfly.sources.zarr.metadata.cleaned`.
    axes : VolumeAxes
        Which axes are z, y and x, and the place of the volume on the others.
    path : str
        Name of the channel in messages.
    limit : int
        Bytes that a chunk may have, also between two codecs.

    Returns
    -------
    plain : dict
        The metadata of the same array without codecs, for TensorStore.
    own : OwnChunks
        Finds and decodes the chunks.

    Raises
    ------
    SourceError
        A codec is not supported, or its place is not.
    """
    if meta["zarr_format"] == 2:
        return _of_zarr2(meta, path, limit)
    names = _names(meta["codecs"])
    if all(name in OF_ZARR_3 for name in names):
        return None
    if names.count(SHARDING) == 0:
        chunk = meta["chunk_grid"]["configuration"]["chunk_shape"]
        return {**meta, "codecs": PLAIN}, OwnChunks(
            _decode3(meta["codecs"], meta, chunk, path, limit)
        )
    if names.count(SHARDING) > 1 or not is_sharded(meta):
        raise SourceError(
            f"{path} has the codecs {', '.join(names)}; allowed with those of numcodecs are shards "
            "as the only codec, without others in them."
        )
    options = meta["codecs"][0]["configuration"]
    chunk = list(sides(options["chunk_shape"], "chunk_shape", path))
    decode = _decode3(options["codecs"], meta, chunk, path, limit)
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    plain = {**meta, "codecs": PLAIN, "chunk_grid": grid}
    return plain, OwnChunks(decode, OwnShards.of(meta, axes, path).fetch)


def _names(codecs: Sequence[Any]) -> list[str]:
    """Return the names of codecs and of those in shards."""
    names = []
    for codec in codecs:
        names.append(codec["name"])
        options = codec.get("configuration") or {}
        if codec["name"] == SHARDING:
            names += [*_names(options.get("codecs", ())), *_names(options.get("index_codecs", ()))]
    return names


def _of_zarr2(meta: Mapping[str, Any], path: str, limit: int) -> tuple[Document, OwnChunks] | None:
    filters, compressor = meta["filters"] or [], meta.get("compressor")
    if not filters and (compressor is None or compressor.get("id") in OF_ZARR_2):
        return None
    codecs = [*filters, *([compressor] if compressor else [])]
    steps = [_step2(codec, path) for codec in codecs]
    dtype, chunk, order = np.dtype(meta["dtype"]), meta["chunks"], meta["order"]
    chain = Chain(steps, math.prod(chunk) * dtype.itemsize)
    chain.check(path, limit)

    def decode(data: bytes, what: str, _shape: tuple[int, ...]) -> NDArray[Any]:
        return np.frombuffer(chain.undo(data, what), dtype).reshape(chunk, order=order)

    return {**meta, "filters": None, "compressor": None}, OwnChunks(decode)


def _step2(codec: Any, path: str) -> Step:
    if isinstance(codec, dict) and isinstance(name := codec.get("id"), str):
        return step_of(name, {key: codec[key] for key in codec if key != "id"}, path)
    raise SourceError(f"{path}: {codec!r:.80} is no codec of zarr 2; allowed are objects with id.")


def _decode3(
    codecs: Sequence[Any], meta: Mapping[str, Any], chunk: Sequence[int], path: str, limit: int
) -> Decode:
    """Return the function that decodes chunks of the given shape."""
    dtype = kind = np.dtype(meta["data_type"])
    order, steps = list(range(len(chunk))), list[Step]()
    for codec in _placed(codecs, path):
        name, options = codec["name"], codec.get("configuration") or {}
        if name == "transpose":
            order = [order[axis] for axis in _order(options.get("order"), len(chunk), path)]
        elif name == "bytes":
            steps += [_swapped(kind)] if options.get("endian") == "big" else []
        else:
            name = name.removeprefix(PREFIX)
            step = step_of(name, _completed(name, options, kind), path)
            kind = _kind_after(step, name, kind, path)
            steps.append(step)
    chain = Chain(steps, math.prod(chunk) * dtype.itemsize)
    chain.check(path, limit)
    stored = [chunk[axis] for axis in order]

    def decode(data: bytes, what: str, _shape: tuple[int, ...]) -> NDArray[Any]:
        voxels = np.frombuffer(chain.undo(data, what), dtype).reshape(stored)
        return voxels.transpose(np.argsort(order))

    return decode


def _placed(codecs: Sequence[Any], path: str) -> Sequence[Any]:
    """Return the codecs of a chunk if they are in an order of which the meaning is certain.

    Raises
    ------
    SourceError
        Values are no bytes, or bytes no values. zarr-python does not read what it wrote by a
        filter of values beside ``transpose``.
    """
    names = [codec["name"].removeprefix(PREFIX) for codec in codecs]
    at = names.index("bytes") if "bytes" in names else len(names)
    before, after = names[:at], names[at + 1 :]
    on_values = (*VALUES, "transpose")
    is_mixed = "transpose" in before and {*before} != {"transpose"}
    for name in names:
        if name not in OF_ZARR_3:
            check_codec(name, path)
    if at == len(names) or is_mixed or {*before} - {*on_values} or {*after} & {*on_values, "bytes"}:
        raise SourceError(
            f"{path} has the codecs {', '.join(names)}; allowed are either transpose or "
            f"{', '.join(VALUES)}, then bytes, and others."
        )
    return codecs


def _order(order: Any, rank: int, path: str) -> list[int]:
    if order in ("C", "F"):
        return list(range(rank))[:: 1 if order == "C" else -1]
    if isinstance(order, list) and sorted(order) == list(range(rank)):
        return order
    raise SourceError(f"{path}: the order of transpose is {order!r:.80}; allowed are all axes.")


def _swapped(kind: np.dtype[Any]) -> Step:
    """Return the step of values that are big-endian bytes."""
    stored = kind.newbyteorder(">")
    return Step(lambda data, _most, _what: np.frombuffer(data, stored).astype(kind), lambda n: n)


def _completed(name: str, options: Document, kind: np.dtype[Any]) -> Document:
    """Return the options of a codec with those that zarr-python takes from the values."""
    defaults: Document = {}
    if name == "shuffle":
        defaults = {"elementsize": kind.itemsize}
    elif name in ("fixedscaleoffset", "quantize"):
        defaults = {"dtype": kind.str}
    elif name == "astype":
        defaults = {"decode_dtype": kind.str}
    return {**defaults, **{key: value for key, value in options.items() if value is not None}}


def _kind_after(step: Step, name: str, kind: np.dtype[Any], path: str) -> np.dtype[Any]:
    """Return the dtype of the values that a codec encodes to.

    Raises
    ------
    SourceError
        Its options state another dtype of the values, or a byte order: ``bytes`` states that.
    """
    after = kind if step.dtype is None else step.dtype
    is_wrong = name == "quantize" and after != kind
    if is_wrong or not after.isnative:
        raise SourceError(
            f"{path}: the codec {name} encodes {kind} to {after.str}; allowed are little-endian "
            "values, and for quantize the same."
        )
    return after
