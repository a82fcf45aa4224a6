"""Names of the files of a scale: a chunk by its bounds in voxels, or a shard by its number.

The format: ``volume.md`` and ``sharded.md`` in ``src/datasource/precomputed/`` of the Neuroglancer
repository.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from bfly.geometry import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bfly.geometry import BoundingBox, Zyx
    from bfly.sources.shared.arrays import Names

__all__ = ["chunk_names", "right_chunk", "right_shard"]

BOUNDS = re.compile(r"_".join([r"(-?\d{1,18})-(-?\d{1,18})"] * 3) + r"(?:\.\d*[a-z]\w*)?", re.I)
"""Starts and stops along x, y and z, and perhaps an ending."""

SHARD = re.compile(r"([0-9a-f]{1,16})\.shard(?:\.\d*[a-z]\w*)?", re.I)


def chunk_names(key: str, size: Zyx, chunk: Zyx, offset: Zyx) -> Names:
    """Return a function that yields the names of the chunks that touch a box.

    Parameters
    ----------
    key : str
        Path of the scale in the store.
    size, chunk : tuple of int
        Shape of the scale and of a chunk (z, y, x), in voxels.
    offset : tuple of int
        ``voxel_offset`` (z, y, x).
    """

    def names(box: BoundingBox) -> Iterable[str]:
        spans = [
            [
                f"{i * c + o}-{min((i + 1) * c, n) + o}"
                for i in range(start // c, (stop - 1) // c + 1)
            ]
            for start, stop, c, n, o in zip(box.start, box.stop, chunk, size, offset, strict=True)
        ]
        for z, y, x in itertools.product(*spans):
            yield f"{key}/{x}_{y}_{z}"

    return names


def right_chunk(size: Zyx, chunk: Zyx, offset: Zyx) -> Callable[[str], str | None]:
    """Return `ChunkKeys.right` for the chunks of a scale; parameters as for `chunk_names`."""

    def right(name: str) -> str | None:
        match = BOUNDS.fullmatch(name)
        if match is None:
            return None
        bounds = [int(number) for number in match.groups()]
        axes = zip(bounds[::2], bounds[1::2], size[::-1], chunk[::-1], offset[::-1], strict=True)
        for start, stop, n, c, o in axes:
            first = start - o
            if not 0 <= first < n or first % c or stop - o != min(first + c, n):
                return None
        return "_".join(f"{a}-{b}" for a, b in zip(bounds[::2], bounds[1::2], strict=True))

    return right


def right_shard(bits: int) -> Callable[[str], str | None]:
    """Return `ChunkKeys.right` for the shards of a scale with ``shard_bits`` of `bits`."""

    def right(name: str) -> str | None:
        match = SHARD.fullmatch(name)
        number = int(match[1], 16) if match else 1 << bits
        return f"{number:0{ceil_div(bits, 4)}x}.shard" if number < 1 << bits else None

    return right
