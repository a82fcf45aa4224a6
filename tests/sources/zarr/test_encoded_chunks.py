"""Chunks of zarr that are returned as stored, and those that are not."""

from __future__ import annotations

import json
import os
import shutil

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.shared.axes import axes_of
from bfly.sources.zarr.codecs import ways_of
from bfly.sources.zarr.shards import ZarrShards
from bfly.sources.zarr.source import Zarr
from bfly.testing.sources.storing import StoringTests
from bfly.testing.sources.unpacking import unpacked
from bfly.testing.volumes import random_volume


def array(path, volume, **options):
    options = {"shape": volume.shape, "dtype": volume.dtype, "chunks": (2, 16, 16), **options}
    zarr.create_array(str(path), **options)[...] = volume
    return path


@pytest.fixture(params=[2, 3])
def zarr_format(request):
    return request.param


class Packed(StoringTests):
    """Chunks of either version, packed by a compressor that each of them knows."""

    source = Zarr
    codecs = (None, None)

    @pytest.fixture(autouse=True)
    def _format(self, zarr_format):
        self.zarr_format = zarr_format

    def write(self, folder, volume):
        codec = self.codecs[self.zarr_format - 2]
        return array(folder / "a", volume, zarr_format=self.zarr_format, compressors=codec)


class TestPlain(Packed):
    given_as = frozenset({StoredAs("raw", "")})


class TestGzip(Packed):
    codecs = (numcodecs.GZip(1), GzipCodec(level=1))
    given_as = frozenset({StoredAs("raw", "gzip")})


class TestBlosc(Packed):
    codecs = (numcodecs.Blosc("lz4", 5, 2), BloscCodec(cname="zlib", shuffle="shuffle"))
    given_as = frozenset({StoredAs("blosc", "")})


class TestZstd(Packed):
    codecs = (numcodecs.Zstd(7), ZstdCodec(level=3, checksum=True))
    given_as = frozenset({StoredAs("zstd", ""), StoredAs("raw", "zstd")})


class Sharded(StoringTests):
    source = Zarr
    location = "end"

    def write(self, folder, volume):
        side = zarr.codecs.ShardingCodec(
            chunk_shape=(2, 16, 16),
            codecs=[BytesCodec(), self.codec],
            index_location=self.location,
        )
        path = folder / "a"
        whole = {"chunks": (4, 32, 48), "compressors": None, "zarr_format": 3}
        return array(path, volume, serializer=side, **whole)


class TestShards(Sharded):
    codec = ZstdCodec(level=3)
    given_as = frozenset({StoredAs("zstd", ""), StoredAs("raw", "zstd")})


class TestShardsThatBeginWithTheirIndex(Sharded):
    codec = GzipCodec(level=1)
    location = "start"
    given_as = frozenset({StoredAs("raw", "gzip")})


class TestZlib(StoringTests):
    source = Zarr
    dtypes = ("float32",)
    given_as = frozenset({StoredAs("raw", "deflate")})

    def write(self, folder, volume):
        return array(folder / "a", volume, zarr_format=2, compressors=numcodecs.Zlib(1))


NOT_AS_SERVED = {
    "big-endian": {"zarr_format": 2, "dtype": ">u2"},
    "Fortran's order": {"zarr_format": 2, "order": "F"},
    "truth values": {"zarr_format": 2, "dtype": "?"},
    "floats of 64 bits": {"zarr_format": 2, "dtype": "<f8"},
    "floats of 16 bits, 3": {"zarr_format": 3, "dtype": "float16"},
    "packed otherwise": {"zarr_format": 2, "compressors": numcodecs.BZ2()},
    "big-endian, 3": {"zarr_format": 3, "serializer": BytesCodec(endian="big")},
    "transposed": {"zarr_format": 3, "filters": TransposeCodec(order=(2, 1, 0))},
    "with a checksum": {"zarr_format": 3, "compressors": [ZstdCodec(), Crc32cCodec()]},
    "plain in shards": {"zarr_format": 3, "shards": (4, 32, 32), "compressors": None},
    "axes x, y, z": {"zarr_format": 3, "dimension_names": "xyz"},
}


@pytest.mark.parametrize("case", NOT_AS_SERVED)
def test_what_is_stored_otherwise_is_not_given(tmp_path, case) -> None:
    volume = random_volume((4, 32, 32), "uint16")
    path = array(tmp_path / "a", volume, **NOT_AS_SERVED[case])
    assert Zarr.open(str(path)).stored_as(0) == ()


def test_other_axes_are_one_voxel_of_a_chunk(tmp_path) -> None:
    volume = random_volume((1, 4, 32, 32), "uint16")
    for side, given in ((1, True), (2, False)):
        path = array(tmp_path / f"{side}", volume, zarr_format=2, chunks=(side, 2, 16, 16))
        source = Zarr.open(str(path))
        for way in source.stored_as(0):
            data = source.read_encoded(0, (1, 1, 0), way)
            found = unpacked(data, way, (2, 16, 16), source.dtype)
            assert np.array_equal(found, volume[0, 2:, 16:, :16])
        assert bool(source.stored_as(0)) is given


def test_an_archive_gives_nothing_as_stored(tmp_path) -> None:
    array(tmp_path / "a", random_volume((2, 16, 16), "uint8"), zarr_format=3)
    path = shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "a")
    assert Zarr.open(path).stored_as(0) == ()


def test_a_chunk_at_the_end_or_not_there_is_not_given(tmp_path) -> None:
    volume = random_volume((2, 16, 40), "uint8")
    path = array(tmp_path / "a", volume, zarr_format=3)
    (path / "c" / "0" / "0" / "1").unlink()
    source = Zarr.open(str(path))
    for way in source.stored_as(0):
        given = [source.read_encoded(0, (0, 0, x), way) is not None for x in range(3)]
        assert given == [True, False, False]


def test_a_chunk_at_the_end_that_was_cut_short_is_not_given(tmp_path) -> None:
    """Of just the bytes that its voxels inside the volume would take: they are not the first."""
    volume = random_volume((2, 16, 40), "uint8")
    path = array(tmp_path / "a", volume, zarr_format=3, compressors=None)
    os.truncate(path / "c" / "0" / "0" / "2", 2 * 16 * 8)
    source = Zarr.open(str(path))
    (way,) = source.stored_as(0)
    assert source.read_encoded(0, (0, 0, 1), way) is not None
    assert source.read_encoded(0, (0, 0, 2), way) is None


@pytest.mark.parametrize("cut", [4, 16, 20, 64, 4 * 16 + 4])
def test_the_index_of_a_shard_that_was_cut_short_is_none(tmp_path, cut) -> None:
    """Also where what is left of it looks like one, an entry or more further on."""
    volume = random_volume((4, 32, 32), "uint8")
    path = array(tmp_path / "a", volume, zarr_format=3, shards=(4, 32, 32))
    source = Zarr.open(str(path))
    (way, _) = source.stored_as(0)
    assert source.read_encoded(0, (1, 1, 0), way) is not None
    file = path / "c" / "0" / "0" / "0"
    os.truncate(file, file.stat().st_size - cut)
    assert source.read_encoded(0, (1, 1, 0), way) is None


INDEXES = {
    "big-endian": [{"name": "bytes", "configuration": {"endian": "big"}}],
    "packed": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}],
    "without byte order": [{"name": "bytes"}],
}


@pytest.mark.parametrize("case", INDEXES)
def test_shards_with_an_index_of_another_kind_give_nothing(tmp_path, case) -> None:
    path = array(tmp_path / "a", random_volume((4, 32, 32), "uint8"), shards=(4, 32, 32))
    meta = json.loads((path / "zarr.json").read_text())
    axes = axes_of("zyx", meta["shape"], "a")
    assert ZarrShards.of(meta, axes)
    meta["codecs"][0]["configuration"]["index_codecs"] = INDEXES[case]
    assert ZarrShards.of(meta, axes) is None


def test_filtered_chunks_are_not_given(tmp_path) -> None:
    volume = random_volume((4, 32, 32), "uint16")
    path = array(tmp_path / "a", volume, zarr_format=2, filters=numcodecs.Delta("<u2"))
    meta = json.loads((path / ".zarray").read_text())
    assert ways_of({**meta, "filters": None})
    assert not ways_of(meta)
