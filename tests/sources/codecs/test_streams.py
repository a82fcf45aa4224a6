"""Compressed data: all of their content up to a known size, or an error."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import TYPE_CHECKING

import imagecodecs
import numcodecs
import pytest

from bfly.errors import SourceError
from bfly.sources.codecs.streams import BLOCKS, STREAMS, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = bytes(range(256)) * 40

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "brotli": imagecodecs.brotli_encode,
    "zstd": imagecodecs.zstd_encode,
    "blosc": lambda data: numcodecs.Blosc().encode(data),
    "lz4": lambda data: numcodecs.LZ4().encode(data),
}


def test_every_format_is_tested() -> None:
    assert PACK.keys() == {*STREAMS, *BLOCKS}


@pytest.mark.parametrize("packing", PACK)
def test_the_content_is_what_was_packed(packing: str) -> None:
    data = bytes(PACK[packing](PLAIN))
    assert unpacked(data, packing, len(PLAIN), "x") == PLAIN


@pytest.mark.parametrize("packing", PACK)
def test_more_content_than_allowed_is_an_error(packing: str) -> None:
    data = bytes(PACK[packing](PLAIN))
    with pytest.raises(SourceError, match="x"):
        unpacked(data, packing, len(PLAIN) - 1, "x")


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_part_of_the_data_is_an_error(packing: str, cut: int) -> None:
    data = bytes(PACK[packing](PLAIN))
    for part in (data[:-cut], data[: cut - 1]):
        with pytest.raises(SourceError, match="x"):
            unpacked(part, packing, len(PLAIN), "x")


def test_a_frame_of_blosc_is_not_read_beyond_its_data() -> None:
    data = bytearray(PACK["blosc"](PLAIN))
    for size in (len(data) + 1, len(data) - 1, 2**31):
        data[12:16] = size.to_bytes(4, "little")
        with pytest.raises(SourceError, match=f"its header states {size} bytes"):
            unpacked(bytes(data), "blosc", len(PLAIN), "x")
