"""N5 blocks that TensorStore does not decode: in lz4, or with a number of elements.

The format of a block: https://github.com/saalfeldlab/n5, below "File-system specification".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.sources.codecs.lz4_java import unpack_blocks
from bfly.sources.codecs.streams import unpacked
from bfly.sources.shared.images import naming
from bfly.sources.shared.own_chunks import OwnChunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["VARLENGTH", "own_chunks"]

REFUSED = "varlength chunks not supported"
"""TensorStore's words about blocks that state their number of elements."""

FORMATS = {"blosc": "blosc", "bzip2": "bz2", "gzip": "gzip", "xz": "xz", "zstd": "zstd"}
"""Formats of `bfly.sources.codecs.streams` by the names of N5."""

DEFAULT, VARLENGTH = 0, 1
"""Modes of a block: as many elements as its shape has voxels, or as many as it states."""


def own_chunks(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], OwnChunks]:
    """Return how the blocks of a dataset are decoded here.

    Parameters
    ----------
    attributes : mapping
        See `bfly.sources.n5.metadata.cleaned`.

    Returns
    -------
    plain : dict
        The attributes for TensorStore.
    own : OwnChunks
        Decodes the blocks.
    """
    compression = attributes["compression"]
    kind = "zlib" if compression.get("useZlib") else compression["type"]
    dtype, rank = np.dtype(attributes["dataType"]).newbyteorder(">"), len(attributes["dimensions"])

    def decode(data: bytes, what: str, shape: tuple[int, ...]) -> NDArray[Any]:
        sides, body = _unwrapped(data, rank, what)
        _check_shape(sides, shape, attributes["blockSize"], what)
        size = math.prod(sides) * dtype.itemsize
        content = _content(body, kind, size, what)
        if len(content) != size:
            raise SourceError(
                f"{what} is damaged: it holds {len(content)} bytes where {size} belong."
            )
        return np.frombuffer(content, dtype).reshape(sides, order="F")

    if kind != "lz4":
        return {**attributes}, OwnChunks(decode, refused=REFUSED)
    return {**attributes, "compression": {"type": "raw"}}, OwnChunks(decode)


def _unwrapped(data: bytes, rank: int, what: str) -> tuple[list[int], bytes]:
    """Return the shape that the header of a block states, and what follows it.

    Raises
    ------
    SourceError
        The header is damaged, or the block holds something else than its voxels.
    """
    mode, axes = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2))
    if mode not in (DEFAULT, VARLENGTH):
        raise SourceError(f"{what} is a block of mode {mode}; allowed are 0 and 1.")
    start = 4 + 4 * rank + 4 * mode
    if axes != rank or len(data) < start:
        raise SourceError(
            f"{what} is damaged: it has {len(data)} bytes, and a header of {axes} axes; allowed "
            f"are {rank} axes."
        )
    numbers = np.frombuffer(data, ">u4", rank + mode, 4).tolist()
    sides = numbers[:rank]
    if mode == VARLENGTH and numbers[rank] != math.prod(sides):
        raise SourceError(
            f"{what} holds {numbers[rank]} elements for {math.prod(sides)} voxels; allowed is one "
            "for each."
        )
    return sides, data[start:]


def _check_shape(
    sides: Sequence[int], needed: Sequence[int], most: Sequence[int], what: str
) -> None:
    """Raise `SourceError` if a block lacks voxels of the dataset, or is larger than a block."""
    if any(not a <= side <= b for a, side, b in zip(needed, sides, most, strict=True)):
        raise SourceError(
            f"{what} has the shape {'x'.join(map(str, sides))}; allowed are "
            f"{'x'.join(map(str, needed))} to {'x'.join(map(str, most))}."
        )


def _content(body: bytes, kind: str, size: int, what: str) -> bytes:
    if kind == "raw":
        return body
    if kind == "lz4":
        with naming(what):
            return unpack_blocks(body, out=size)
    return unpacked(body, FORMATS.get(kind, kind), size, what)
