"""Compressed chunks that are complete by their frames, without decompression."""

from __future__ import annotations

import gzip
import zlib

import imagecodecs
import numpy as np
import pytest
import zstandard

from bfly.sources.frames import is_blosc, is_gzip, is_zstd, unpacks_as_zlib

VOXELS = np.random.default_rng(7).integers(0, 9, 300_000).astype("u1").tobytes()
SIZE = len(VOXELS)


def zstd(data: bytes = VOXELS, **options) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def windowed(log: int, data: bytes = VOXELS) -> bytes:
    """Compress as a stream: the frame states its window."""
    parameters = zstandard.ZstdCompressionParameters(window_log=log, write_content_size=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(len(data))
    return packer.compress(data) + packer.flush()


def blosc(**options) -> bytes:
    return bytes(imagecodecs.blosc_encode(VOXELS, **options))


NAMED = b"\x1f\x8b\x08\x08\0\0\0\0\0\xffa.raw\0" + gzip.compress(VOXELS)[10:]

WHOLE = {
    "gzip": (is_gzip, gzip.compress(VOXELS)),
    "gzip with a name": (is_gzip, NAMED),
    "zlib": (unpacks_as_zlib, zlib.compress(VOXELS)),
    "zstd": (is_zstd, zstd(level=3)),
    "zstd with a checksum": (is_zstd, zstd(level=1, write_checksum=True)),
    "zstd of few bytes": (is_zstd, zstd(VOXELS[:100])),
    "zstd of some bytes": (is_zstd, zstd(VOXELS[:1000])),
    "zstd of one value": (is_zstd, zstd(bytes(SIZE))),
    "zstd of noise": (is_zstd, zstd(np.random.default_rng(3).bytes(SIZE))),
    "zstd with a window": (is_zstd, windowed(17)),
    "blosc": (is_blosc, blosc()),
    "blosc of bits": (is_blosc, blosc(compressor="lz4", shuffle=2, typesize=4)),
    "blosc not packed": (is_blosc, blosc(level=0)),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_all_there(case: str) -> None:
    is_whole, data = WHOLE[case]
    size = {"zstd of few bytes": 100, "zstd of some bytes": 1000}.get(case, SIZE)
    assert is_whole(data, size)
    assert not is_whole(data, size - 1)
    assert not is_whole(data, size + 1)
    for cut in (*range(30), len(data) // 2, len(data) - 9, len(data) - 4, len(data) - 1):
        if cut < len(data):
            assert not is_whole(data[:cut], size), cut
    assert not is_whole(data + b"\0", size)


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_what_others_would_not_unpack() -> None:
    packed = zstd()
    samples = [VOXELS[i : i + 500] for i in range(0, 90_000, 500)]
    dictionary = zstandard.train_dictionary(1000, samples)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(VOXELS)
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    for data in (
        unsized,
        zstd(dict_data=dictionary),
        windowed(24, VOXELS * 60),
        packed + packed,
        packed + skipped,
        skipped + packed,
        changed(packed, 4, packed[4] | 8),
        changed(packed, 4, packed[4] | 1),
        VOXELS,
        b"",
    ):
        assert not is_zstd(data, SIZE)
        assert not is_zstd(data, 60 * SIZE)
        assert not is_zstd(data, 2 * SIZE)
    assert not is_gzip(changed(gzip.compress(VOXELS), 3, 32), SIZE)
    assert not is_gzip(zlib.compress(VOXELS), SIZE)
    assert not unpacks_as_zlib(gzip.compress(VOXELS), SIZE)
    assert not unpacks_as_zlib(zlib.compress(VOXELS)[:-4] + b"abcd", SIZE)
    frame = blosc(compressor="lz4")
    snappy = frame[2] & 31 | 2 << 5
    assert not is_blosc(changed(frame, 2, snappy), SIZE)
    assert not is_blosc(changed(frame, 0, 5), SIZE)
