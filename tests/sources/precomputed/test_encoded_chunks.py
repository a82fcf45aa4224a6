"""Chunks of precomputed volumes that are returned as stored, and those that are not."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tensorstore as ts

from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.precomputed.source import Precomputed
from bfly.testing.sources.storing import StoringTests

LABELS = StoredAs("compressed_segmentation", "")
SIDE = {"compressed_segmentation_block_size": [8, 8, 8]}


def write(path, volume, encoding, **scale):
    """Write a volume (z, y, x)."""
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {
            **{"type": "segmentation", "data_type": volume.dtype.name, "num_channels": 1}
        },
        "scale_metadata": {
            **{"size": volume.shape[::-1], "encoding": encoding, "chunk_size": [16, 16, 8]},
            **{"resolution": [4, 4, 30], **scale},
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(volume.T).result()
    return path


def smooth(shape=(20, 40, 33)):
    z, y, x = np.indices(shape)
    return (x + 2 * y + 3 * z).astype("u1")


class TestJpeg(StoringTests):
    source = Precomputed
    tolerance = 8
    given_as = frozenset({StoredAs("jpeg", "")})

    @pytest.fixture
    def volume(self):
        return smooth(self.shape)

    def write(self, folder, volume):
        return write(folder / "a", volume, "jpeg", jpeg_quality=100)


@pytest.mark.parametrize("count", [1, 2, 4, 16, 200, 100_000])
class TestLabels(StoringTests):
    """Blocks of any number of ids: indexes have 0, 1, 2, 4, 8 or 16 bits."""

    source = Precomputed
    dtypes = ("uint32", "uint64")
    shape = (9, 20, 24)
    given_as = frozenset({LABELS})

    @pytest.fixture
    def volume(self, dtype, count):
        places = np.arange(np.prod(self.shape)) % count
        return (places.reshape(self.shape) * 40_009 + 7).astype(dtype)

    def write(self, folder, volume):
        return write(folder / "a", volume, "compressed_segmentation", **SIDE)

    @pytest.mark.parametrize("cut", [1, 2, 4, 8, 40])
    def test_not_even_a_few_bytes_are_missing(self, path, cut) -> None:
        for file in (path / "4_4_30").iterdir():
            file.write_bytes(file.read_bytes()[:-cut])
        source = Precomputed.open(str(path))
        assert source.read_encoded(0, (0, 0, 0), LABELS) is None


@pytest.mark.parametrize(
    ("encoding", "scale"),
    [
        ("compressed_segmentation", {"compressed_segmentation_block_size": [8, 8, 4]}),
        (
            "raw",
            {
                "sharding": {
                    "@type": "neuroglancer_uint64_sharded_v1",
                    **{"preshift_bits": 1, "minishard_bits": 1, "shard_bits": 2},
                    "hash": "identity",
                }
            },
        ),
    ],
)
def test_what_is_stored_otherwise_is_not_given(tmp_path, encoding, scale) -> None:
    path = write(tmp_path / "a", smooth().astype("u4"), encoding, **scale)
    assert Precomputed.open(str(path)).stored_as(0) == ()


def chunk(text: bytes, content: bytes) -> bytes:
    crc = imagecodecs.zlib_crc32(text + content)
    return len(content).to_bytes(4, "big") + text + content + crc.to_bytes(4, "big")


def test_a_png_that_others_would_show_otherwise_is_not_given(tmp_path) -> None:
    path = write(tmp_path / "a", smooth(), "png")
    file = path / "4_4_30" / "0-16_0-16_0-8"
    data, pixels = file.read_bytes(), smooth()[:8, :16, :16].reshape(128, 16)
    for other, given in (
        (data, True),
        (imagecodecs.png_encode(pixels), True),
        (data[:33] + chunk(b"gAMA", b"\0\0\xff\xff") + data[33:], False),
        (imagecodecs.png_encode(np.stack([pixels] * 3, -1)), False),
        (imagecodecs.png_encode(pixels.reshape(64, 32)), False),
        (data[:60] + bytes([data[60] ^ 1]) + data[61:], False),
        (data + b"\0", False),
    ):
        file.write_bytes(other)
        got = Precomputed.open(str(path)).read_encoded(0, (0, 0, 0), StoredAs("png", ""))
        assert (got == other) is given


def test_each_mip_is_stored_in_its_own_way(tmp_path) -> None:
    volume = smooth((8, 64, 64))
    path = write(tmp_path / "a", volume, "raw")
    write(path, np.ascontiguousarray(volume[:, ::2, ::2]), "jpeg", resolution=[8, 8, 30])
    source = Precomputed.open(str(path))
    assert source.stored_as(0)[0] == StoredAs("raw", "")
    assert source.stored_as(1)[0] == StoredAs("jpeg", "")


def test_labels_whose_heads_lead_nowhere_are_not_given(tmp_path) -> None:
    path = write(tmp_path / "a", smooth().astype("u4"), "compressed_segmentation", **SIDE)
    file = path / "4_4_30" / "0-16_0-16_0-8"
    good = np.frombuffer(file.read_bytes(), "<u4")
    for word, value in ((0, 2), (1, good[1] | 0xFFFFFF), (1, good[1] ^ 3 << 24), (2, 1 << 31)):
        words = good.copy()
        words[word] = value
        file.write_bytes(words.tobytes())
        assert Precomputed.open(str(path)).read_encoded(0, (0, 0, 0), LABELS) is None
