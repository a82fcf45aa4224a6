"""Blocks of lz4-java: all of their content, or an error."""

from __future__ import annotations

import os

import pytest

from bfly.sources.codecs.lz4_java import unpack_blocks
from tests.fixtures.lz4_java import lz4_java

PLAIN = bytes(range(256)) * 500
"""Of which several blocks are needed."""


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("data", [PLAIN, os.urandom(100_000), b"", b"x"])
def test_blocks_give_what_was_packed(data: bytes, end: bool) -> None:
    assert unpack_blocks(lz4_java(data, end=end), out=len(data)) == data


def test_no_more_than_expected_is_unpacked() -> None:
    with pytest.raises(ValueError, match="more than the expected 1000 bytes"):
        unpack_blocks(lz4_java(bytes(1 << 20), 1 << 20), out=1000)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, 0, "damaged"),
        (8, 0x36, "unknown method 0x30"),
        (8, 0x16, "another checksum"),
        (16, 1, "more than the expected"),
        (17, 1, "another checksum"),
        (40, 77, r"another checksum|LZ4_decompress"),
    ],
)
def test_damage_is_an_error(at: int, value: int, reason: str) -> None:
    data = bytearray(lz4_java(PLAIN))
    data[at] = value
    with pytest.raises(Exception, match=reason):
        unpack_blocks(bytes(data), out=len(PLAIN))


@pytest.mark.parametrize("cut", [1, 20, 22, 500])
def test_a_part_is_an_error_or_not_all(cut: int) -> None:
    data = lz4_java(PLAIN)[:-cut]
    with pytest.raises(ValueError, match=r"ends|damaged"):
        unpack_blocks(data, out=len(PLAIN))


def test_nothing_may_follow_the_end() -> None:
    with pytest.raises(ValueError, match="after its last"):
        unpack_blocks(lz4_java(PLAIN) + b"more", out=len(PLAIN))
