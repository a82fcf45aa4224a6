import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from bfly.encoders.png import Png
from bfly.errors import BadRequest
from bfly.testing.encoders import SheetSuite


class TestPng(SheetSuite):
    encoder = Png
    media_type = "image/png"
    grey_bits = 16

    def decode(self, data, shape, dtype):
        # libpng refuses sides of more than a million pixels.
        decode = imagecodecs.png_decode if max(shape) < 10**6 else imagecodecs.spng_decode
        return decode(data).reshape(shape)


def test_two_decoders_agree():
    voxels = np.arange(2 * 30 * 17, dtype=np.uint64).reshape(2, 30, 17) % 7
    data = Png().encode(voxels, kind="segmentation")
    np.testing.assert_array_equal(imagecodecs.png_decode(data), imagecodecs.spng_decode(data))


def test_every_chunk_has_its_length_and_checksum():
    data = Png().encode(np.arange(60, dtype=np.uint16).reshape(3, 4, 5))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    names, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        assert crc == zlib.crc32(data[at + 4 : at + 8 + length])
        names.append(data[at + 4 : at + 8])
        at += 12 + length
    assert at == len(data)
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack_from(">IIBBBBB", data, 16) == (5, 12, 16, 0, 0, 0, 0)


@pytest.mark.parametrize("shape", [(1, 1100, 1000), (2, 2, 2**20 + 5), (2**20 + 5, 1, 1)])
def test_a_large_picture_is_one_stream_in_several_chunks(shape):
    voxels = np.random.default_rng(0).integers(0, 2**16, shape, np.uint16)
    data = bytes(Png().encode(voxels))
    stream, at, names = b"", 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        content = data[at + 8 : at + 8 + length]
        assert zlib.crc32(data[at + 4 : at + 8 + length]) == int.from_bytes(
            data[at + 8 + length : at + 12 + length], "big"
        )
        names.append(data[at + 4 : at + 8])
        stream += content if names[-1] == b"IDAT" else b""
        at += 12 + length
    assert (names[0], {*names[1:-1]}, names[-1]) == (b"IHDR", {b"IDAT"}, b"IEND")
    assert len(names) > 3
    depth, height, width = shape
    rows = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(depth * height, 1 + 2 * width)
    upwards = rows[0, 0] == 2
    assert {*rows[:, 0]} == {2 if width <= 2**20 else 0}
    pixels = rows[:, 1:].cumsum(0, dtype=np.uint8) if upwards else rows[:, 1:]
    found = np.ascontiguousarray(pixels).view(">u2")
    assert np.array_equal(found, voxels.reshape(-1, width))


def test_a_smooth_picture_gets_smaller():
    section = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)[None]
    assert len(Png().encode(section)) < section.size / 20


def test_a_side_beyond_the_format_is_a_bad_request():
    endless = np.broadcast_to(np.uint8(0), (2, 2**30, 1))
    with pytest.raises(BadRequest, match=r"depth 2 makes a sheet of 1 x 2147483648 pixels"):
        Png().encode(endless)
