"""Zarr with codecs of numcodecs: as zarr-python reads what it wrote, or refused."""

from __future__ import annotations

import json
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs as of_zarr3

from bfly.errors import Oversized, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")

CHUNK = (3, 16, 16)

BLOSC = numcodecs.Blosc(cname="zstd", clevel=1, shuffle=numcodecs.Blosc.BITSHUFFLE)


def smooth(shape: tuple[int, ...], dtype: str) -> Any:
    """Return voxels of which a codec that loses precision keeps most."""
    voxels = random_volume(shape, "uint16") % 1000
    return voxels.astype(dtype) if dtype != "bool" else voxels > 500


def write2(
    path: Path, volume: Any, filters: Any = None, compressor: Any = None, **words: Any
) -> str:
    words = {"chunks": CHUNK, **words}
    made = zarr.create_array(
        str(path),
        **{"shape": volume.shape, "dtype": volume.dtype, "zarr_format": 2, "fill_value": 0},
        **{"filters": filters, "compressors": compressor, **words},
    )
    made[...] = volume
    return str(path)


def write3(path: Path, volume: Any, **words: Any) -> str:
    words = {"chunks": CHUNK, **words}
    made = zarr.create_array(
        str(path), shape=volume.shape, dtype=volume.dtype, zarr_format=3, fill_value=0, **words
    )
    made[...] = volume
    return str(path)


def as_zarr_reads(path: str) -> Any:
    return zarr.open_array(path, mode="r")[...]


def read(path: str) -> Any:
    source = Zarr.open(path, kind="image")
    return source.read(0, source.scales[0].box)


def of_delta() -> Any:
    return numcodecs.Delta(dtype="<u2")


IN_ZARR_2 = {
    "lz4": ("u2", None, numcodecs.LZ4()),
    "lzma": ("u2", None, numcodecs.LZMA()),
    "lzma alone": ("u2", None, numcodecs.LZMA(format=2)),
    "lzma raw": ("u2", None, numcodecs.LZMA(format=3, filters=[{"id": 33, "preset": 1}])),
    "delta": ("u2", [of_delta()], None),
    "delta blosc": ("u2", [of_delta()], BLOSC),
    "delta zstd": ("i4", [numcodecs.Delta(dtype="<i4")], numcodecs.Zstd(checksum=True)),
    "delta big": ("u4", [numcodecs.Delta(dtype=">u4", astype=">u4")], numcodecs.GZip()),
    "delta wider": ("u2", [numcodecs.Delta(dtype="<u2", astype="<i8")], numcodecs.BZ2()),
    "delta float": ("f4", [numcodecs.Delta(dtype="<f4")], numcodecs.Zlib()),
    "delta signed": ("i1", [numcodecs.Delta(dtype="|i1", astype="<i2")], numcodecs.LZ4()),
    "fixedscaleoffset": (
        "f4",
        [numcodecs.FixedScaleOffset(offset=3, scale=10, dtype="<f4", astype="<u2")],
        numcodecs.Zlib(),
    ),
    "fixedscaleoffset u2": (
        "u2",
        [numcodecs.FixedScaleOffset(offset=3.5, scale=0.5, dtype="<u2", astype="<i4")],
        None,
    ),
    "quantize": ("f4", [numcodecs.Quantize(digits=1, dtype="<f4")], numcodecs.Zlib()),
    "quantize f2": ("f4", [numcodecs.Quantize(1, "<f4", astype="<f2")], None),
    "packbits": ("bool", [numcodecs.PackBits()], numcodecs.LZ4()),
    "shuffle": ("u4", [numcodecs.Shuffle(elementsize=4)], numcodecs.Zlib()),
    "astype": ("u4", [numcodecs.AsType(encode_dtype="<u2", decode_dtype="<u4")], BLOSC),
    "bitround": ("f4", [numcodecs.BitRound(keepbits=8)], numcodecs.Zlib()),
    "two": ("u2", [of_delta(), numcodecs.Shuffle(2)], numcodecs.LZ4()),
    "base64": ("u2", [numcodecs.Base64()], None),
    "crc32": ("u2", [numcodecs.CRC32()], None),
    "crc32 end": ("u2", [numcodecs.CRC32(location="end")], numcodecs.LZ4()),
    "adler32": ("u2", [numcodecs.Adler32()], None),
    "fletcher32": ("u2", [numcodecs.Fletcher32()], numcodecs.Zlib()),
    "jenkins_lookup3": ("u2", [numcodecs.JenkinsLookup3()], None),
    "crc32c": ("u2", [numcodecs.checksum32.CRC32C()], None),
    "compressed twice": ("u2", [numcodecs.Zlib(), numcodecs.Shuffle(1)], numcodecs.LZ4()),
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", IN_ZARR_2)
def test_zarr_2_is_read_as_by_zarr_python(tmp_path, name, order) -> None:
    dtype, filters, compressor = IN_ZARR_2[name]
    path = write2(tmp_path / "a", smooth((7, 40, 33), dtype), filters, compressor, order=order)
    assert np.array_equal(read(path), as_zarr_reads(path))


with warnings.catch_warnings():
    # zarr-python says of each that it is no codec of zarr 3.
    warnings.simplefilter("ignore")
    IN_ZARR_3 = {
        "lz4": ("u2", {"compressors": [of_zarr3.LZ4()]}),
        "bz2": ("u2", {"compressors": [of_zarr3.BZ2(level=2)]}),
        "zstd": ("u2", {"compressors": [of_zarr3.Zstd(level=2)]}),
        "zlib": ("u2", {"compressors": [of_zarr3.Zlib(level=2)]}),
        "gzip": ("u2", {"compressors": [of_zarr3.GZip(level=2)]}),
        "blosc": ("u2", {"compressors": [of_zarr3.Blosc(cname="lz4")]}),
        "lzma": ("u2", {"compressors": [of_zarr3.LZMA()]}),
        "shuffle": ("u4", {"compressors": [of_zarr3.Shuffle(), of_zarr3.Zlib()]}),
        "crc32c": ("u2", {"compressors": [of_zarr3.CRC32C()]}),
        "crc32c after lz4": ("u2", {"compressors": [of_zarr3.LZ4(), zarr.codecs.Crc32cCodec()]}),
        "crc32": ("u2", {"compressors": [of_zarr3.CRC32(location="end")]}),
        "adler32": ("u2", {"compressors": [of_zarr3.Adler32()]}),
        "fletcher32": ("u2", {"compressors": [of_zarr3.Fletcher32()]}),
        "jenkins_lookup3": ("u2", {"compressors": [of_zarr3.JenkinsLookup3()]}),
        "delta": ("u2", {"filters": [of_zarr3.Delta(dtype="<u2")]}),
        "delta wider": ("u2", {"filters": [of_zarr3.Delta(dtype="<u2", astype="<i4")]}),
        "fixedscaleoffset": (
            "f4",
            {"filters": [of_zarr3.FixedScaleOffset(offset=0, scale=10, dtype="<f4", astype="<u2")]},
        ),
        "quantize": ("f4", {"filters": [of_zarr3.Quantize(digits=1)]}),
        "bitround": ("f4", {"filters": [of_zarr3.BitRound(keepbits=8)]}),
        "packbits": ("bool", {"filters": [of_zarr3.PackBits()]}),
        "astype": ("u4", {"filters": [of_zarr3.AsType(encode_dtype="<u2")]}),
        "transpose": (
            "u2",
            {
                "filters": [zarr.codecs.TransposeCodec(order=(1, 2, 0))],
                "compressors": [of_zarr3.LZ4()],
            },
        ),
        "shards": ("u2", {"compressors": [of_zarr3.LZ4()], "shards": (6, 32, 32)}),
        "shards, delta": ("u2", {"filters": [of_zarr3.Delta(dtype="<u2")], "shards": (6, 32, 32)}),
        "names of zarr 2": (
            "u2",
            {
                "compressors": [of_zarr3.LZ4()],
                "chunk_key_encoding": {"name": "v2", "separator": "."},
            },
        ),
    }


@pytest.mark.parametrize("name", IN_ZARR_3)
def test_zarr_3_is_read_as_by_zarr_python(tmp_path, name) -> None:
    dtype, words = IN_ZARR_3[name]
    path = write3(tmp_path / "a", smooth((7, 40, 33), dtype), **words)
    assert np.array_equal(read(path), as_zarr_reads(path))


def test_values_before_big_endian_bytes_are_as_they_were_written(tmp_path) -> None:
    # zarr-python swaps their bytes when it reads them.
    volume = smooth((7, 40, 33), "u2")
    filters, serializer = [of_zarr3.Delta(dtype="<u2")], zarr.codecs.BytesCodec(endian="big")
    path = write3(tmp_path / "a", volume, filters=filters, serializer=serializer)
    assert np.array_equal(read(path), volume)


def test_codecs_of_bytes_need_no_prefix(tmp_path) -> None:
    volume = smooth((7, 40, 33), "u2")
    path = write3(tmp_path / "a", volume, compressors=[of_zarr3.Zlib()])
    file = tmp_path / "a" / "zarr.json"
    file.write_text(file.read_text().replace('"numcodecs.zlib"', '"zlib"'))
    assert np.array_equal(read(path), volume)


class TestLz4(SourceSuite):
    source = Zarr
    dtypes = ("uint8", "uint16", "uint64", "int8", "int64", "float32")

    def write(self, folder, volume):
        write2(folder / "a", volume, None, numcodecs.LZ4(), chunks=(2, 16, 16))
        return folder / "a"


class TestDeltaInShards(SourceSuite):
    source = Zarr
    dtypes = ("uint8", "int32")

    def write(self, folder, volume):
        words = {"filters": [of_zarr3.Delta(dtype=volume.dtype.str)], "shards": (4, 32, 32)}
        write3(folder / "a", volume, **words, chunks=(2, 16, 16))
        return folder / "a"


@pytest.mark.parametrize("shards", [None, (6, 32, 32)])
def test_a_missing_chunk_has_the_fill_value(tmp_path, shards) -> None:
    path, box = tmp_path / "a", BoundingBox((0, 0, 0), (3, 16, 16))
    made = zarr.create_array(
        str(path),
        **{"shape": (7, 40, 33), "dtype": "i2", "chunks": CHUNK, "shards": shards},
        **{"compressors": [of_zarr3.LZ4()], "fill_value": -7},
    )
    made[:3, :16, :16] = 5
    voxels = read(str(path))
    assert (voxels[box.slices] == 5).all()
    assert (voxels == -7).sum() == voxels.size - box.size


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_channels_and_time_are_parts(tmp_path, zarr_format) -> None:
    volume = smooth((2, 3, 5, 20, 12), "u2")
    words = {"chunks": (2, 2, 3, 8, 8)}
    if zarr_format == 2:
        path = write2(tmp_path / "a", volume, [of_delta()], numcodecs.LZ4(), **words)
        (tmp_path / "a" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["t", "c", "z", "y", "x"]}')
    else:
        codecs = {"compressors": [of_zarr3.LZ4()], "shards": (2, 4, 6, 16, 16)}
        path = write3(tmp_path / "a", volume, **codecs, **words, dimension_names=[*"tczyx"])
    parts = Zarr.parts(path, Files())
    assert len(parts) == 6
    for part, expected in zip(parts, volume.reshape(6, 5, 20, 12), strict=True):
        source = Zarr.open(path, part=part, kind="image")
        assert np.array_equal(source.read(0, source.scales[0].box), expected)


@pytest.mark.parametrize("name", ["lz4", "delta blosc", "lzma", "crc32", "packbits", "base64"])
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "changed"])
def test_a_damaged_chunk_is_an_error(tmp_path, name, damage) -> None:
    dtype, filters, compressor = IN_ZARR_2[name]
    path = write2(tmp_path / "a", smooth((3, 16, 16), dtype), filters, compressor)
    file = tmp_path / "a" / "0.0.0"
    data = file.read_bytes()
    changed = bytes([data[0] ^ 255, *data[1:]])
    forms = {"cut": data[:-1], "longer": data + b"A", "empty": b"", "changed": changed}
    file.write_bytes(forms[damage])
    with pytest.raises(SourceError, match=r"a: 0\.0\.0"):
        read(path)


def test_a_shard_with_a_damaged_index_is_an_error(tmp_path) -> None:
    words = IN_ZARR_3["shards"][1]
    path = write3(tmp_path / "a", smooth((6, 32, 32), "u2"), **words)
    (file,) = (p for p in (tmp_path / "a" / "c").rglob("*") if p.is_file())
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    for damaged in (bytes(data), bytes(data[:60])):
        file.write_bytes(damaged)
        with pytest.raises(SourceError, match="index of the shard c/0/0/0 is damaged"):
            read(path)


BOMBS = {
    "lz4": (None, numcodecs.LZ4()),
    "lzma": (None, numcodecs.LZMA()),
    "delta zlib": ([of_delta()], numcodecs.Zlib()),
    "delta zstd": ([of_delta()], numcodecs.Zstd()),
    "delta blosc": ([of_delta()], BLOSC),
    "delta bz2": ([of_delta()], numcodecs.BZ2()),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_chunk_does_not_unpack_to_more_than_its_shape(tmp_path, name) -> None:
    filters, compressor = BOMBS[name]
    path = write2(tmp_path / "a", smooth((3, 16, 16), "u2"), filters, compressor)
    (tmp_path / "a" / "0.0.0").write_bytes(bytes(compressor.encode(bytes(64 << 20))))
    with pytest.raises(SourceError, match=r"0\.0\.0"):
        read(path)


def test_a_size_that_is_only_stated_is_not_believed(tmp_path) -> None:
    path = write2(tmp_path / "a", smooth((3, 16, 16), "u2"), None, numcodecs.LZ4())
    file = tmp_path / "a" / "0.0.0"
    data = file.read_bytes()
    for stated in (0, 1, 1537, 2**31 - 1, 2**32 - 1):
        file.write_bytes(stated.to_bytes(4, "little") + data[4:])
        with pytest.raises(SourceError, match=r"0\.0\.0"):
            read(path)


REFUSED_2 = {
    "pickle": ({"filters": [{"id": "pickle"}]}, "codec 'pickle'; allowed are adler32"),
    "snappy": ({"compressor": {"id": "snappy"}}, "codec 'snappy'; allowed are"),
    "option": ({"filters": [{"id": "delta", "dtype": "<u2", "x": 1}]}, "unknown option 'x'"),
    "dtype": ({"filters": [{"id": "delta", "dtype": "V99999999"}]}, "dtype is 'V99999999'"),
    "scale": (
        {"filters": [{"id": "fixedscaleoffset", "dtype": "<u2", "scale": 0, "offset": 1}]},
        "scale is 0",
    ),
    "dictionary": (
        {"compressor": {"id": "lzma", "format": 3, "filters": [{"id": 33, "dict_size": 2**31}]}},
        "dictionaries up to",
    ),
    "no codec": ({"filters": ["delta"]}, "'delta' is no codec of zarr 2"),
}


@pytest.mark.parametrize("name", REFUSED_2)
def test_what_is_not_supported_in_zarr_2_is_said(tmp_path, name) -> None:
    change, reason = REFUSED_2[name]
    path = write2(tmp_path / "a", smooth((3, 16, 16), "u2"))
    file = tmp_path / "a" / ".zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(SourceError, match=reason):
        read(path)


def test_values_between_codecs_are_limited_like_a_chunk(tmp_path) -> None:
    wide = numcodecs.AsType(encode_dtype="<f8", decode_dtype="|u1")
    path = write2(tmp_path / "a", smooth((32, 64, 64), "u1"), [wide], chunks=(32, 64, 64))
    with pytest.raises(Oversized, match="between its codecs is 1048576 bytes long; at most 200000"):
        Zarr.open(path, files=Files(max_chunk=200_000))


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
DELTA = {"name": "numcodecs.delta", "configuration": {"dtype": "<u2"}}
TURNED = {"name": "transpose", "configuration": {"order": [2, 1, 0]}}
SHARD = {"chunk_shape": [3, 16, 16], "index_codecs": [BYTES]}
LZ4 = {"name": "numcodecs.lz4"}

REFUSED_3 = {
    "unknown": ([BYTES, {"name": "numcodecs.nothing"}], "codec 'nothing'; allowed are"),
    "transposed": ([TURNED, DELTA, BYTES], "either transpose or"),
    "after bytes": ([BYTES, DELTA], "either transpose or"),
    "before bytes": ([LZ4, BYTES], "either transpose or"),
    "without bytes": ([LZ4], "either transpose or"),
    "big-endian": (
        [{"name": "numcodecs.delta", "configuration": {"dtype": ">u2"}}, BYTES],
        "little-endian",
    ),
    "shards in shards": (
        [
            {
                "name": "sharding_indexed",
                "configuration": {
                    **SHARD,
                    "codecs": [
                        {
                            "name": "sharding_indexed",
                            "configuration": {**SHARD, "codecs": [BYTES, LZ4]},
                        }
                    ],
                },
            }
        ],
        "shards as the only codec",
    ),
    "packed shards": (
        [{"name": "sharding_indexed", "configuration": {**SHARD, "codecs": [BYTES]}}, LZ4],
        "shards as the only codec",
    ),
    "packed index": (
        [
            {
                "name": "sharding_indexed",
                "configuration": {**SHARD, "codecs": [BYTES, LZ4], "index_codecs": [BYTES, LZ4]},
            }
        ],
        "index of an unusual form",
    ),
}


@pytest.mark.parametrize("name", REFUSED_3)
def test_what_is_not_supported_in_zarr_3_is_said(tmp_path, name) -> None:
    codecs, reason = REFUSED_3[name]
    path = write3(tmp_path / "a", smooth((3, 16, 16), "u2"))
    file = tmp_path / "a" / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "codecs": codecs}))
    with pytest.raises(SourceError, match=reason):
        read(path)


@pytest.mark.parametrize("form", ["zip", "shards"])
def test_an_archive_is_read_too(tmp_path, form) -> None:
    volume = smooth((7, 40, 33), "u2")
    words = IN_ZARR_3["shards" if form == "shards" else "lz4"][1]
    write3(tmp_path / "a", volume, **words)
    archive = shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "a")
    assert np.array_equal(read(archive), volume)
