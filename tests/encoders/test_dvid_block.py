"""DVID's compressed blocks, read back as the specification has them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from bfly.encoders.dvid_block import dvid_block


def decoded(data: bytes) -> np.ndarray:
    """Read a block voxel by voxel, by the description in DVID's ``compressed.go``."""
    x, y, z, count = struct.unpack_from("<4I", data)
    table = struct.unpack_from(f"<{count}Q", data, 16)
    labels = np.zeros((z * 8, y * 8, x * 8), np.uint64)
    if count == 1:
        labels[:] = table[0]
        assert len(data) == 24
        return labels
    at = 16 + 8 * count
    counts = struct.unpack_from(f"<{x * y * z}H", data, at)
    at += 2 * len(counts)
    places = list(struct.unpack_from(f"<{sum(counts)}I", data, at))
    at += 4 * len(places)
    bits = "".join(f"{byte:08b}" for byte in data[at:])
    for number, own in enumerate(counts):
        here, places = places[:own], places[own:]
        k, j, i = np.unravel_index(number, (z, y, x))
        wide = (own - 1).bit_length()
        values = [int(bits[n * wide : (n + 1) * wide] or "0", 2) for n in range(512)]
        bits = bits[-(-512 * wide // 8) * 8 :]
        block = np.array([table[here[value]] for value in values], np.uint64)
        labels[k * 8 : k * 8 + 8, j * 8 : j * 8 + 8, i * 8 : i * 8 + 8] = block.reshape(8, 8, 8)
    assert not bits
    return labels


@pytest.mark.parametrize("kinds", [1, 2, 3, 17, 600])
def test_every_number_of_labels(kinds: int) -> None:
    rng = np.random.default_rng(kinds)
    ids = rng.integers(2**53, 2**64, kinds, np.uint64)
    labels = rng.choice(ids, (16, 24, 32))
    labels[:8, :8, :8] = ids[0]
    assert np.array_equal(decoded(dvid_block(labels)), labels)
