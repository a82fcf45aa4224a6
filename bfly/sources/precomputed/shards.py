"""The shards of precomputed volumes, checked before TensorStore decompresses their contents.

The format: ``src/datasource/precomputed/sharded.md`` in the Neuroglancer repository. TensorStore
decompresses gzip indexes and chunks whole, without a size limit.
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bfly.errors import Oversized, SourceError
from bfly.geometry import ceil_div, indexes
from bfly.sources.codecs.streams import unpacked as gunzip
from bfly.sources.shared.inflate import GZIP, pieces_of
from bfly.storage.files import read_exactly, stamp_of
from bfly.storage.limits import METADATA, check_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox, Zyx
    from bfly.storage.files import Files

__all__ = ["PrecomputedShards"]

T = TypeVar("T")

BITS = {"preshift_bits": 64, "minishard_bits": 22, "shard_bits": 62}
"""Maximum of each field, in bits. A shard index of 64 MiB holds 2**22 minishards."""

RATIO = 1032
"""Highest compression ratio of Deflate (RFC 1951); smaller data cannot exceed a limit."""

KNOWN = 256
"""Maximum number of cached minishard indexes, and of cached refusals."""

M32 = 0xFFFFFFFF


@dataclass
class PrecomputedShards:
    """Shard indexes of a scale, and size checks of its chunks.

    Parameters
    ----------
    files : Files
        Access to the shards.
    folder : str
        The folder of the scale.
    shape, chunk : tuple of int
        Shape of the scale and of a chunk (z, y, x), in voxels.
    sharding : mapping
        As in the ``info``.
    limit : int
        Maximum bytes of a chunk, compressed or decompressed.
    """

    files: Files
    folder: str
    shape: Zyx
    chunk: Zyx
    sharding: Mapping[str, Any]
    limit: int
    _known: OrderedDict[tuple[Any, ...], tuple[NDArray[Any], ...]] = field(
        default_factory=OrderedDict
    )

    _refused: OrderedDict[Any, str] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        for name, most in BITS.items():
            bits = self.sharding.get(name)
            if type(bits) is not int or not 0 <= bits <= most:
                raise SourceError(
                    f"{self.folder}: {name} is {bits!r:.50}; allowed are whole numbers to {most}."
                )
        if self.sharding["minishard_bits"] + self.sharding["shard_bits"] > 64:
            raise SourceError(f"{self.folder}: minishard_bits and shard_bits are more than 64.")

    def check(self, box: BoundingBox) -> None:
        """Raise `SourceError` if a chunk that touches a box exceeds the limit."""
        for index in indexes(box.in_tiles(self.chunk)):
            self._look_up(self.number(index), self._check_data)

    def read(self, index: Zyx) -> bytes | None:
        """Return a chunk as it is stored, without the compression of shards; None if it is missing.

        Raises
        ------
        SourceError
            The shard is damaged, or the chunk exceeds the limit.
        """
        found = self._look_up(self.number(index), self._read_data)
        return found[-1] if found else None

    def place(self, number: int) -> tuple[str, int, int] | None:
        """Return the path of the shard of a number, and the start and size of its value.

        Raises
        ------
        SourceError
            The shard is damaged.
        """
        found = self._look_up(number, lambda _, path, start, size: (path, start, size))
        return found[-1] if found else None

    def number(self, index: Zyx) -> int:
        """Return the compressed Morton code of a chunk."""
        sizes = zip(self.shape, self.chunk, strict=True)
        bits = [(ceil_div(n, c) - 1).bit_length() for n, c in sizes]
        code, at = 0, 0
        for bit in range(max(bits)):
            for axis in (2, 1, 0):
                if bit < bits[axis]:
                    code |= (index[axis] >> bit & 1) << at
                    at += 1
        return code

    def _look_up(self, number: int, work: Callable[[int, str, int, int], T]) -> list[T]:
        """Call `work` with a file, its path, and the start and size of a chunk in it."""
        key = number >> self.sharding["preshift_bits"]
        if self.sharding.get("hash") == "murmurhash3_x86_128":
            key = _murmur(key)
        inner = self.sharding["minishard_bits"]
        minishard = key & (1 << inner) - 1
        shard = key >> inner & (1 << self.sharding["shard_bits"]) - 1
        digits = ceil_div(self.sharding["shard_bits"], 4)
        path = f"{self.folder}/{shard:0{digits}x}.shard"
        stamp = stamp_of(path)
        if stamp is None:
            return []
        state = (path, minishard, stamp)
        refused = self._refused.get((state, number)) or self._refused.get((state, None))
        if refused:
            raise Oversized(refused)
        with self.files.file(path) as file:
            fd = file.fileno()
            entries = self._known.get(state)
            if entries is None:
                with self._remembering((state, None)):
                    entries = self._index(fd, path, minishard)
                self._known[state] = entries
                _shrink(self._known)
            starts, numbers, sizes = entries
            found = []
            for at in np.flatnonzero(numbers == number).tolist():
                with self._remembering((state, number)):
                    found.append(work(fd, path, int(starts[at]), int(sizes[at])))
            return found

    @contextmanager
    def _remembering(self, what: Any) -> Iterator[None]:
        """Cache a refusal: a repeated check takes as long as the first one."""
        try:
            yield
        except Oversized as error:
            self._refused[what] = str(error)
            _shrink(self._refused)
            raise

    def _index(self, fd: int, path: str, minishard: int) -> tuple[NDArray[Any], ...]:
        """Read the index of a minishard: offsets, numbers and sizes of its chunks."""
        nothing = np.zeros(0, np.uint64)
        first = 16 << self.sharding["minishard_bits"]
        if os.fstat(fd).st_size < first:
            # TensorStore raises the error for a truncated shard.
            return nothing, nothing, nothing
        start, stop = struct.unpack("<QQ", read_exactly(fd, 16, 16 * minishard, path))
        if stop <= start:
            return nothing, nothing, nothing
        check_length(f"{path}: the index of a minishard", stop - start, METADATA)
        data = read_exactly(fd, stop - start, first + start, path)
        if self.sharding.get("minishard_index_encoding") == "gzip":
            data = unpacked(data, f"{path}: the index of a minishard", METADATA)
        if len(data) % 24:
            return nothing, nothing, nothing
        numbers, gaps, sizes = np.frombuffer(data, "<u8").reshape(3, -1)
        ends = np.cumsum(gaps + sizes)
        return first + ends - sizes, np.cumsum(numbers), sizes

    def _read_data(self, fd: int, path: str, start: int, size: int) -> bytes:
        self._check_data(fd, path, start, size)
        data = read_exactly(fd, size, start, path)
        is_packed = self.sharding.get("data_encoding") == "gzip"
        return gunzip(data, "gzip", self.limit, f"{path}: a chunk") if is_packed else data

    def _check_data(self, fd: int, path: str, start: int, size: int) -> bytes:
        what = f"{path}: a chunk"
        check_length(what, size, self.limit)
        if self.sharding.get("data_encoding") == "gzip" and size * RATIO > self.limit:
            unpacked(read_exactly(fd, size, start, path), what, self.limit, keep=False)
        return b""


def _shrink(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > KNOWN:
        cache.popitem(last=False)


def unpacked(data: bytes, what: str, limit: int, *, keep: bool = True) -> bytes:
    """Decompress gzip data piece by piece; return the result, or nothing unless `keep`.

    Damaged data end early. TensorStore reports the damage when it reads the data.

    Raises
    ------
    Oversized
        The result exceeds `limit` bytes; `what` names the data in the message.
    """
    pieces, size = [], 0
    for piece in pieces_of(data, GZIP):
        size += len(piece)
        check_length(what, size, limit)
        if keep:
            pieces.append(piece)
    return b"".join(pieces)


def _murmur(number: int) -> int:
    """Return the low 64 bits of MurmurHash3_x86_128 of a number of 64 bits, with the seed 0."""

    def turned(value: int, by: int) -> int:
        return (value << by | value >> 32 - by) & M32

    def mixed(value: int) -> int:
        value = (value ^ value >> 16) * 0x85EBCA6B & M32
        value = (value ^ value >> 13) * 0xC2B2AE35 & M32
        return value ^ value >> 16

    low, high = number & M32, number >> 32 & M32
    second = turned(high * 0xAB0E9789 & M32, 16) * 0x38B34AE5 & M32
    first = turned(low * 0x239B961B & M32, 15) * 0xAB0E9789 & M32
    # The length of the key, 8, is mixed into each of the four words.
    words = [first ^ 8, second ^ 8, 8, 8]
    words[0] = sum(words) & M32
    words[1:] = [(word + words[0]) & M32 for word in words[1:]]
    words = [mixed(word) for word in words]
    words[0] = sum(words) & M32
    return words[0] | (words[1] + words[0] & M32) << 32
