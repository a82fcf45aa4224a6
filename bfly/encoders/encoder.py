"""The contract of an output format: array in, bytes and media type out.

An encoder holds no state and knows nothing of queries, sources or HTTP; any number of
threads may use one at once. `bfly.testing.encoders` is the contract as a test suite.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["LEVEL", "Encoder", "in_order", "packed_parts", "raw_bytes"]

LEVEL = 1
"""Of igzip's levels 0 to 3. On FIB-SEM and its labels 1 takes at most 12 % longer than 0 for
files 27 to 40 % smaller; 2 gives the same as 1; 3 takes up to six times as long on labels, for
15 % less."""

PIECE = 1 << 20
"""Bytes of a stream that are compressed at once, so that what comes of it takes little memory."""


class Encoder(ABC):
    """Base of all encoders."""

    media_type: ClassVar[str]
    """What ``Content-Type`` says of the bytes."""

    streams: ClassVar[bool] = False
    """Whether a file can be written before all its voxels are known: see `encode_parts`."""

    verbatim: ClassVar[bool] = False
    """Whether the bytes are those of the voxels in their order, and nothing else."""

    @abstractmethod
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Write a cutout in this format.

        Parameters
        ----------
        voxels : numpy.ndarray
            Shape (z, y, x), at least one voxel, unsigned integers or float32; of any memory
            layout, and never written to.
        view : {"colormap", "grayscale", "rgb"}
            How voxels become pixels (see `bfly.encoders.views`). Formats that carry the
            voxels themselves have no pixels and give the same bytes for every view.
        kind : {"image", "segmentation"}
            What the voxels mean.

        Returns
        -------
        bytes or memoryview
            The whole file, the same for the same arguments. A memoryview is flat, of bytes,
            and may look into `voxels` without a copy.

        Raises
        ------
        BadRequest
            There is no such view, or the cutout is too large for the format.
        """

    def memory(self, shape: Zyx, dtype: np.dtype[Any], view: str, kind: str) -> int:
        """Return the most bytes that encoding takes besides the voxels."""
        return 2 * math.prod(shape) * dtype.itemsize

    def encode_parts(
        self, parts: Iterator[NDArray[Any]], shape: Zyx
    ) -> Iterator[bytes | memoryview]:
        """Write a cutout whose voxels come one part after the other; only if it `streams`.

        Parameters
        ----------
        parts : iterator of numpy.ndarray
            They have the voxels in C order, of one dtype. The memory of one may be used again
            for the next.
        shape : tuple of int
            Of the whole cutout (z, y, x).

        Returns
        -------
        iterator of bytes or memoryview
            Together they are a file with the voxels that `encode` writes. A memoryview may look
            into the part that was taken last.
        """
        raise NotImplementedError


def in_order(voxels: NDArray[Any]) -> NDArray[Any]:
    """Give voxels in C order and little-endian, as themselves where they lie so."""
    return np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))


def raw_bytes(voxels: NDArray[Any]) -> memoryview:
    """Give voxels as little-endian bytes in C order, without a copy where they lie so.

    Parameters
    ----------
    voxels : numpy.ndarray
        Any shape and dtype.

    Returns
    -------
    memoryview
        Flat, of unsigned bytes.
    """
    return in_order(voxels).reshape(-1).view(np.uint8).data


def packed_parts(
    parts: Iterable[bytes | memoryview], wbits: int = isal_zlib.MAX_WBITS
) -> Iterator[bytes]:
    """Compress bytes as they come.

    Parameters
    ----------
    parts : iterable of bytes or memoryview
        Flat, of bytes.
    wbits : int
        As zlib has it: a zlib stream, or with 31 a gzip file.
    """
    packer = isal_zlib.compressobj(LEVEL, wbits=wbits)
    for part in parts:
        for start in range(0, len(part), PIECE):
            if packed := packer.compress(part[start : start + PIECE]):
                yield packed
    yield packer.flush()
