"""Metadata of zarr arrays as TensorStore takes them: no options of encoders, no short forms.

A decoder needs no option of a compressor: its data state what it has to know. TensorStore refuses
options that it does not have, and levels of other ranges. Options that are not known here remain
an error: they may change the voxels. The formats: https://zarr-specs.readthedocs.io,
https://numcodecs.readthedocs.io and https://github.com/zarr-developers/zarr-extensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.sources.codecs.options import NUMCODECS, check_options
from bfly.sources.zarr.fill import fill_value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cleaned", "configured", "listed"]

Document = dict[str, Any]

IN_ZARR_2: Mapping[str, Document] = {
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": 0, "blocksize": 0},
    "zstd": {"level": 1},
    "gzip": {"level": 1},
    "zlib": {"level": 1},
    "bz2": {"level": 1},
}
"""Options that TensorStore is given in place of those of an encoder, by codec."""

IN_ZARR_3: Mapping[str, Document] = {
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0},
    "zstd": {"level": 1, "checksum": False},
    "gzip": {"level": 1},
}
"""The same for zarr 3."""

SAME = {
    "numcodecs.blosc": "blosc",
    "numcodecs.zstd": "zstd",
    "numcodecs.gzip": "gzip",
    "endian": "bytes",
}
"""Codecs that are those of zarr 3 by another name; ``endian`` is that of its drafts."""

INNER = ("codecs", "index_codecs")
"""Lists of codecs in the configuration of shards."""

OPTIONAL = ("consolidated_metadata", "storage_transformers")
"""Members of a ``zarr.json`` that may be null, as if they were missing."""

UNUSED = ("attributes", "dimension_names")
"""Members of a ``zarr.json`` that TensorStore does not need."""


def cleaned(meta: Mapping[str, Any], path: str) -> Document:
    """Return the metadata of an array without what only concerns its encoder.

    Parameters
    ----------
    meta : mapping
        Its ``.zarray`` or ``zarr.json``.
    path : str
        Name of the channel in messages.

    Raises
    ------
    SourceError
        A codec has an unknown option, or the fill value is no voxel.
    """
    return _cleaned2(meta, path) if meta["zarr_format"] == 2 else _cleaned3(meta, path)


def _cleaned2(meta: Mapping[str, Any], path: str) -> Document:
    result = {key: value for key, value in meta.items() if key != "attributes"}
    if result.get("dimension_separator", "") is None:
        del result["dimension_separator"]
    filters = meta.get("filters") or []
    result["filters"] = [each for each in filters if not _leaves(each, path)] or None
    match meta.get("compressor"):
        case {"id": str(name), **options}:
            check_options(name, options, NUMCODECS, path)
            result["compressor"] = {"id": name, **IN_ZARR_2.get(name, options)}
    if isinstance(meta.get("dtype"), str):
        dtype = np.dtype(meta["dtype"])
        if dtype.itemsize == 1 and dtype.kind in "biu":
            result["dtype"] = dtype.str  # also if it is stated as u1 or uint8
        if "fill_value" in meta:
            result["fill_value"] = fill_value(meta["fill_value"], dtype, path)
    return result


def _leaves(codec: Any, path: str) -> bool:
    """Return whether a filter leaves the values as they are when it is undone."""
    if not isinstance(codec, dict) or codec.get("id") != "bitround":
        return False
    check_options("bitround", {*codec} - {"id"}, NUMCODECS, path)
    return True


def _cleaned3(meta: Mapping[str, Any], path: str) -> Document:
    without = {*UNUSED, *(key for key in OPTIONAL if meta.get(key) is None)}
    result = {key: value for key, value in meta.items() if key not in without}
    result["codecs"] = listed(meta["codecs"], path)
    kind = meta["data_type"]
    if isinstance(kind, dict) and not kind.get("configuration"):
        kind = result["data_type"] = kind.get("name")
    for key in ("chunk_grid", "chunk_key_encoding"):
        if key in meta:
            result[key] = configured(meta[key], path)
    try:
        dtype = np.dtype(kind)
    except TypeError:
        return result  # TensorStore has more data types than NumPy
    value = fill_value(meta.get("fill_value"), dtype, path)
    result["fill_value"] = fill_value(0, dtype, path) if value is None else value
    return result


def configured(value: Any, path: str) -> Document:
    """Return a name with its configuration, from any form of zarr 3.

    Raises
    ------
    SourceError
        It is neither a name nor an object with one.
    """
    stated = {"name": value} if isinstance(value, str) else value
    if not isinstance(stated, dict) or not isinstance(stated.get("name"), str):
        raise SourceError(f"{path} has damaged metadata: {value!r:.80} has no name.")
    result = {key: item for key, item in stated.items() if (key, item) != ("must_understand", True)}
    options = result.pop("configuration", None)
    if options is None:
        return result
    if not isinstance(options, dict):
        raise SourceError(f"{path} has damaged metadata: {options!r:.80} is no configuration.")
    return {
        **result,
        "configuration": {key: options[key] for key in options if options[key] is not None},
    }


def listed(codecs: Any, path: str) -> list[Document]:
    """Return the codecs of a ``zarr.json``, or of the chunks in a shard, for TensorStore.

    Codecs that TensorStore does not have are returned as they are stated.
    """
    if not isinstance(codecs, list):
        raise SourceError(f"{path}: the codecs are {codecs!r:.80}; allowed is a list.")
    each = [configured(codec, path) for codec in codecs]
    return [_codec(codec, path) for codec in each if not _is_bitround(codec, path)]


def _is_bitround(codec: Mapping[str, Any], path: str) -> bool:
    is_one = codec["name"].removeprefix("numcodecs.") == "bitround"
    return is_one and _leaves({**codec.get("configuration", {}), "id": "bitround"}, path)


def _codec(codec: Document, path: str) -> Document:
    name = str(SAME.get(codec["name"], codec["name"]))
    options = codec.get("configuration") or {}
    if name == "numcodecs.crc32c" and options.get("location") in (None, "end"):
        check_options("crc32c", options, NUMCODECS, path)
        return {"name": "crc32c"}
    if name == "sharding_indexed":
        inner = {key: listed(options[key], path) for key in INNER if key in options}
        return {**codec, "configuration": {**options, **inner}}
    if name == "bytes":
        # TensorStore requires the byte order, which zarr-python takes for little-endian.
        order = options.get("endian") or "little"
        return {**codec, "name": name, "configuration": {**options, "endian": order}}
    if name == "crc32c" and not options:
        return {"name": name}
    return {**codec, "name": name, **_stated(name, options, path)}


def _stated(name: str, options: Document, path: str) -> Document:
    if name in IN_ZARR_3:
        check_options(name, options, NUMCODECS, path)
        return {"configuration": IN_ZARR_3[name]}
    return {"configuration": options} if options else {}
