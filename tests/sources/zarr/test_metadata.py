"""Metadata that TensorStore refuses, though they say the same: read, or refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr

from bfly.errors import SourceError
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.zarr.source import Zarr
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = random_volume((4, 8, 8), "uint16")

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def write(path: Path, zarr_format: int, compressor: str, dtype: str = "uint16") -> Path:
    codecs: dict[str, Any] = {
        "none": None,
        "zstd": zarr.codecs.ZstdCodec(),
        "gzip": zarr.codecs.GzipCodec(),
        "blosc": zarr.codecs.BloscCodec(typesize=2),
    }
    if zarr_format == 2:
        codecs = {"none": None, "zlib": numcodecs.Zlib(), "bz2": numcodecs.BZ2()} | {
            "gzip": numcodecs.GZip(),
            "blosc": numcodecs.Blosc(),
            "zstd": numcodecs.Zstd(),
        }
    made = zarr.create_array(
        str(path),
        **{"shape": VOLUME.shape, "chunks": (4, 8, 4), "dtype": dtype, "fill_value": 0},
        **{"zarr_format": zarr_format, "compressors": codecs[compressor], "filters": None},
    )
    made[..., :4] = VOLUME[..., :4].astype(dtype)
    return path / (".zarray" if zarr_format == 2 else "zarr.json")


def change(file: Path, changes: dict[str, Any]) -> str:
    meta = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in meta.items() if value != "GONE"}))
    return str(file.parent)


def read(path: str) -> Any:
    source = Zarr.open(path, kind="image")
    return source.read(0, source.scales[0].box)


def half(fill: int = 0) -> Any:
    voxels = np.full_like(VOLUME, fill)
    voxels[..., :4] = VOLUME[..., :4]
    return voxels


OPTIONS_2: dict[str, Any] = {
    "blosc threads": ("blosc", {"cname": "lz4", "nthreads": 1, "typesize": 2}),
    "blosc null": ("blosc", {"cname": "lz4", "blocksize": None}),
    "blosc other": ("blosc", {"cname": "none", "clevel": 11, "shuffle": 7}),
    "zstd checksum": ("zstd", {"level": -200_000, "checksum": True}),
    "gzip": ("gzip", {"level": -1}),
    "zlib": ("zlib", {"level": -1}),
    "zlib text": ("zlib", {"level": "best"}),
    "bz2": ("bz2", {"level": 0}),
}


@pytest.mark.parametrize("name", OPTIONS_2)
def test_options_of_an_encoder_do_not_matter_in_zarr_2(tmp_path, name) -> None:
    codec, options = OPTIONS_2[name]
    file = write(tmp_path / "a", 2, codec)
    path = change(file, {"compressor": {"id": codec, **options}})
    assert np.array_equal(read(path), half())


MEMBERS_2: dict[str, Any] = {
    "separator": {"dimension_separator": None},
    "no filters": {"filters": "GONE"},
    "empty filters": {"filters": []},
    "others": {"_nczarr_array": {"dimrefs": []}},
}


@pytest.mark.parametrize("name", MEMBERS_2)
def test_members_without_a_meaning_do_not_matter_in_zarr_2(tmp_path, name) -> None:
    assert np.array_equal(read(change(write(tmp_path / "a", 2, "zlib"), MEMBERS_2[name])), half())


def named(name: str, configuration: Any = "GONE") -> list[Any]:
    last = {"name": name, "configuration": configuration}
    return [BYTES, {key: value for key, value in last.items() if value != "GONE"}]


OPTIONS_3: dict[str, Any] = {
    "blosc typesize": ("blosc", named("blosc", {"cname": "lz4", "shuffle": "shuffle"})),
    "blosc threads": ("blosc", named("blosc", {"cname": "lz4", "nthreads": 1})),
    "blosc null": ("blosc", named("blosc", {"cname": "lz4", "typesize": None})),
    "blosc number": ("blosc", named("blosc", {"cname": "lz4", "shuffle": 1})),
    "gzip level": ("gzip", named("gzip", {"level": -1})),
    "gzip text": ("gzip", ["bytes", "gzip"]),
    "zstd alone": ("zstd", named("zstd")),
    "zstd null": ("zstd", named("zstd", None)),
    "understood": ("zstd", [BYTES, {"name": "zstd", "must_understand": True}]),
    "no order": ("none", [{"name": "bytes"}]),
    "draft": ("gzip", [{**BYTES, "name": "endian"}, {"name": "gzip", "configuration": {}}]),
    "null order": ("none", [{"name": "bytes", "configuration": {"endian": None}}]),
}


@pytest.mark.parametrize("name", OPTIONS_3)
def test_options_of_an_encoder_do_not_matter_in_zarr_3(tmp_path, name) -> None:
    codec, codecs = OPTIONS_3[name]
    path = change(write(tmp_path / "a", 3, codec), {"codecs": codecs})
    assert np.array_equal(read(path), half())


MEMBERS_3: dict[str, Any] = {
    "consolidated": {"consolidated_metadata": None},
    "names": {"dimension_names": None},
    "same names": {"dimension_names": ["", "", ""]},
    "transformers": {"storage_transformers": None},
    "attributes": {"attributes": None},
    "NaN": {"attributes": {"mean": float("nan")}},
    "type": {"data_type": {"name": "uint16"}},
    "keys": {"chunk_key_encoding": "default"},
    "null keys": {"chunk_key_encoding": {"name": "default", "configuration": None}},
    "null separator": {
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": None}}
    },
    "no fill": {"fill_value": None},
}


@pytest.mark.parametrize("name", MEMBERS_3)
def test_short_forms_and_null_do_not_matter_in_zarr_3(tmp_path, name) -> None:
    assert np.array_equal(read(change(write(tmp_path / "a", 3, "gzip"), MEMBERS_3[name])), half())


def test_shards_are_cleaned_as_well(tmp_path) -> None:
    path = tmp_path / "a"
    made = zarr.create_array(
        str(path), shape=VOLUME.shape, shards=(4, 8, 8), chunks=(4, 4, 4), dtype="u2"
    )
    made[...] = VOLUME
    meta = json.loads((path / "zarr.json").read_text())
    options = meta["codecs"][0]["configuration"]
    options |= {"codecs": ["bytes", "zstd"], "index_codecs": ["bytes", "crc32c"]}
    assert np.array_equal(read(change(path / "zarr.json", {"codecs": meta["codecs"]})), VOLUME)


FILLS = [
    (2, "uint16", "7", 7),
    (2, "uint16", 7.0, 7),
    (2, "uint16", " 7 ", 7),
    (2, "uint16", "7.0", 7),
    (2, "uint16", True, 1),
    (2, "int16", "-7", -7),
    (2, "uint64", str(2**64 - 1), 2**64 - 1),
    (2, "float32", "0.5", 0.5),
    (2, "float32", "nan", float("nan")),
    (2, "float32", float("inf"), float("inf")),
    (2, "bool", 1, 1),
    (2, "bool", "false", 0),
    (3, "uint16", "7", 7),
    (3, "uint16", False, 0),
    (3, "float32", "0.5", 0.5),
    (3, "float32", "0x7fc00000", float("nan")),
    (3, "float32", "-Infinity", -float("inf")),
    (3, "bool", 1, 1),
    (3, "bool", "true", 1),
]


@pytest.mark.parametrize(("zarr_format", "dtype", "stated", "fill"), FILLS)
def test_a_fill_value_may_be_text(tmp_path, zarr_format, dtype, stated, fill) -> None:
    path = change(write(tmp_path / "a", zarr_format, "none", dtype), {"fill_value": stated})
    assert np.array_equal(read(path)[0, 0, 4:], [fill] * 4, equal_nan=dtype == "float32")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("stated", ["x", "", -1, 65536, "65536", 0.5, [0], "1e999", "nan"])
def test_a_fill_value_that_is_no_voxel_is_an_error(tmp_path, zarr_format, stated) -> None:
    path = change(write(tmp_path / "a", zarr_format, "none"), {"fill_value": stated})
    with pytest.raises(SourceError, match="fill value is"):
        read(path)


UNKNOWN = [
    (2, {"compressor": {"id": "zlib", "level": 1, "dictionary": "x"}}, "option 'dictionary'"),
    (2, {"filters": [{"id": "bitround", "keepbits": 3, "x": 1}]}, "unknown option 'x'"),
    (3, {"codecs": named("gzip", {"level": 1, "x": 1})}, "unknown option 'x'; allowed are level"),
    (3, {"codecs": named("crc32c", {"x": 1})}, "extra members"),
    (3, {"codecs": named("numcodecs.crc32c", {"x": 1})}, "unknown option 'x'"),
    (3, {"codecs": named("numcodecs.zstd", {"x": 1})}, "unknown option 'x'"),
    (3, {"codecs": named("numcodecs.lz4", {"x": 1})}, "unknown option 'x'"),
    (3, {"codecs": [BYTES, {"name": "gzip", "x": 1}]}, 'extra members: "x"'),
    (3, {"codecs": [BYTES, {"name": "gzip", "must_understand": False}]}, "must_understand"),
    (3, {"codecs": [5]}, "damaged metadata: 5 has no name"),
    (3, {"codecs": [{"name": "gzip", "configuration": 5}]}, "5 is no configuration"),
    (3, {"codecs": {}}, "allowed is a list"),
    (3, {"unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("zarr_format", "changes", "reason"), UNKNOWN)
def test_what_is_not_known_is_refused(tmp_path, zarr_format, changes, reason) -> None:
    path = change(write(tmp_path / "a", zarr_format, "gzip"), changes)
    with pytest.raises(SourceError, match=reason):
        read(path)


def test_cleaned_chunks_are_given_as_they_are_stored(tmp_path) -> None:
    file = write(tmp_path / "a", 2, "zstd")
    path = change(file, {"compressor": {"id": "zstd", "level": 0, "checksum": False}})
    assert StoredAs("zstd", "") in Zarr.open(path, kind="image").stored_as(0)


@pytest.mark.parametrize("stated", ["u1", "uint8"])
def test_one_byte_has_no_order(tmp_path, stated) -> None:
    path = change(write(tmp_path / "a", 2, "zlib", "uint8"), {"dtype": stated})
    assert np.array_equal(read(path), half().astype("u1"))
