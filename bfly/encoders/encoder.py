"""The contract of an output format: array in, bytes and media type out.

An encoder is stateless and thread-safe, and independent of queries, sources and HTTP.
`bfly.testing.encoders` is the contract as a test suite.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from isal import isal_zlib

from bfly.encoders.strips import strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = [
    "GZIP",
    "LEVEL",
    "PIECE",
    "UNSTATED",
    "Encoder",
    "deflated",
    "in_order",
    "packed_parts",
    "raw_bytes",
    "raw_parts",
]

LEVEL = 1
"""Compression level of igzip, 0 to 3. On FIB-SEM and its labels level 1 takes at most 12 % longer
than 0, for files 27 to 40 % smaller. Level 2 gives the same as 1. Level 3 takes up to six times
as long on labels, for 15 % less."""

GZIP = 31
"""``wbits`` value that makes zlib write a gzip file."""

UNSTATED = 4
"""Memory of an encoder that does not override `Encoder.memory`, as a multiple of the voxels or
pixels: an intermediate array, the file, and a copy of each."""

PIECE = 1 << 20
"""Bytes of a stream that are compressed in one call: keeps the output of a call small."""


class Encoder(ABC):
    """Base of all encoders."""

    media_type: ClassVar[str]
    """Value of ``Content-Type``."""

    streams: ClassVar[bool] = False
    """Whether voxels may come part by part: see `encode_parts`."""

    upwards: ClassVar[bool] = False
    """Whether a file begins with the last row, so that parts come in reverse order."""

    verbatim: ClassVar[bool] = False
    """Whether a file is just the bytes of the voxels in C order."""

    @abstractmethod
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Encode a cutout.

        Parameters
        ----------
        voxels : numpy.ndarray
            Shape (z, y, x), at least one voxel, integers or float32, of any memory layout. It is
            never written to.
        view : {"colormap", "grayscale", "rgb"}
            Mapping of voxels to pixels (see `bfly.encoders.views`). Formats that hold the
            voxels themselves ignore it.
        kind : {"image", "segmentation"}
            Meaning of the voxels.

        Returns
        -------
        bytes or memoryview
            The whole file; equal arguments give equal bytes. A memoryview is flat, of bytes,
            and may share the memory of `voxels`.

        Raises
        ------
        BadRequest
            There is no such view, or the cutout is too large for the format.
        """

    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]:
        """Encode a cutout part by part; only if the encoder `streams`.

        Parameters
        ----------
        parts : iterator of numpy.ndarray
            Boxes (z, y, x) of one dtype and of whole rows, in C order; in reverse order if the
            encoder writes `upwards`. The next part may reuse the memory of a part.
        shape : tuple of int
            Shape of the whole cutout (z, y, x).
        view, kind : str
            As for `encode`.

        Returns
        -------
        iterator of bytes or memoryview
            Pieces of a file with the same voxels or pixels as that of `encode`, however the
            cutout is divided. A memoryview may share the memory of the latest part. The first
            part is taken before anything is returned, so that its errors come first.

        Raises
        ------
        BadRequest
            As for `encode`.
        """
        raise NotImplementedError

    def check(  # noqa: B027 - most formats hold any cutout
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        """Raise the errors that `encode` would raise, before voxels are read.

        Parameters
        ----------
        shape : tuple of int
            Shape of the cutout (z, y, x).
        dtype : numpy.dtype
            Dtype of its voxels.
        view, kind : str
            As for `encode`.

        Raises
        ------
        BadRequest
            There is no such view, or the format cannot hold such a cutout.
        """

    def memory(
        self,
        shape: Zyx,
        dtype: np.dtype[Any],
        *,
        view: str = "grayscale",
        kind: str = "image",
        part: int | None = None,
    ) -> int:
        """Return the peak memory in bytes, besides the voxels.

        Parameters
        ----------
        shape : tuple of int
            Shape of the cutout (z, y, x).
        dtype : numpy.dtype
            Dtype of its voxels, which are in C order.
        view, kind : str
            As for `encode`.
        part : int, optional
            Bytes of the largest part for `encode_parts`; None for `encode`.

        Returns
        -------
        int
            Temporary arrays and allocations of libraries; for `encode` also the whole file. The
            default is four times the voxels, or the part.
        """
        return UNSTATED * (math.prod(shape) * dtype.itemsize if part is None else part)


def in_order(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return voxels in C order and little-endian; a copy only if needed."""
    return np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))


def raw_bytes(voxels: NDArray[Any]) -> memoryview:
    """Return voxels as little-endian bytes in C order; a copy only if needed.

    Parameters
    ----------
    voxels : numpy.ndarray
        Array of any shape and dtype.

    Returns
    -------
    memoryview
        Flat view of unsigned bytes.
    """
    return in_order(voxels).reshape(-1).view(np.uint8).data


def raw_parts(parts: Iterable[NDArray[Any]]) -> Iterator[memoryview]:
    """Yield the `raw_bytes` of arrays, in strips if they have to be copied.

    Parameters
    ----------
    parts : iterable of numpy.ndarray
        Arrays of any shapes and dtypes.
    """
    for part in parts:
        if part.flags.c_contiguous and part.dtype == part.dtype.newbyteorder("<"):
            yield raw_bytes(part)
        else:
            yield from (raw_bytes(part[box]) for box in strips(part.shape, PIECE // part.itemsize))


def deflated(size: int) -> int:
    """Return the largest compressed size of so many bytes, as by `packed_parts`."""
    return size + (size >> 8) + (64 << 10)


def packed_parts(
    parts: Iterable[bytes | memoryview], wbits: int = isal_zlib.MAX_WBITS
) -> Iterator[bytes]:
    """Yield compressed bytes of a stream.

    Parameters
    ----------
    parts : iterable of bytes or memoryview
        Flat pieces of the stream.
    wbits : int
        As in zlib: a zlib stream, or with `GZIP` a gzip file.
    """
    packer = isal_zlib.compressobj(LEVEL, wbits=wbits)
    for part in parts:
        for start in range(0, len(part), PIECE):
            if packed := packer.compress(part[start : start + PIECE]):
                yield packed
    yield packer.flush()
