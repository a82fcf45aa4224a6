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
"""Of igzip's levels 0 to 3. On FIB-SEM and its labels 1 takes at most 12 % longer than 0 for
files 27 to 40 % smaller; 2 gives the same as 1; 3 takes up to six times as long on labels, for
15 % less."""

GZIP = 31
"""What zlib calls a gzip file (``wbits``)."""

UNSTATED = 4
"""Times the voxels, or pixels, that an encoder is taken to need if it does not say so itself: what
it makes of them, the file, and a copy of each."""

PIECE = 1 << 20
"""Bytes of a stream that are compressed at once, so that what comes of it takes little memory."""


class Encoder(ABC):
    """Base of all encoders."""

    media_type: ClassVar[str]
    """What ``Content-Type`` says of the bytes."""

    streams: ClassVar[bool] = False
    """Whether voxels may come part by part: see `encode_parts`."""

    upwards: ClassVar[bool] = False
    """Whether a file begins with the last row, so that the parts have to come last one first."""

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

    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]:
        """Write a cutout whose voxels come one part after the other; only if it `streams`.

        Parameters
        ----------
        parts : iterator of numpy.ndarray
            Boxes (z, y, x) of one dtype that follow one another in C order; those of an encoder
            that writes `upwards`, in the reverse order. Each has whole rows. The memory of one
            may be used again for the next.
        shape : tuple of int
            Of the whole cutout (z, y, x).
        view, kind : str
            As `encode` takes them.

        Returns
        -------
        iterator of bytes or memoryview
            Together they are a file with the voxels or pixels that `encode` writes, however the
            cutout is divided. A memoryview may look into the part that was taken last. Nothing
            is returned before the first part is taken, so that its errors come first.

        Raises
        ------
        BadRequest
            As `encode`.
        """
        raise NotImplementedError

    def check(  # noqa: B027 - most formats hold any cutout
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        """Raise what `encode` raises for such voxels, before there are any.

        Parameters
        ----------
        shape : tuple of int
            Of the cutout (z, y, x).
        dtype : numpy.dtype
            Of its voxels.
        view, kind : str
            As `encode` takes them.

        Raises
        ------
        BadRequest
            There is no such view, or the format does not hold such a cutout.
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
        """Return the most bytes that are allocated at once beside the voxels.

        Parameters
        ----------
        shape : tuple of int
            Of the cutout (z, y, x).
        dtype : numpy.dtype
            Of its voxels, which are in C order.
        view, kind : str
            As `encode` takes them.
        part : int, optional
            The bytes of the largest part, for `encode_parts`; without it `encode` is meant.

        Returns
        -------
        int
            Temporary arrays and what the library allocates count, and of `encode` the whole
            file. Unless an encoder says otherwise it is four times the voxels, or the part.
        """
        return UNSTATED * (math.prod(shape) * dtype.itemsize if part is None else part)


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


def raw_parts(parts: Iterable[NDArray[Any]]) -> Iterator[memoryview]:
    """Yield the `raw_bytes` of arrays, of those in any other order strip by strip.

    Parameters
    ----------
    parts : iterable of numpy.ndarray
        Any shapes and dtypes.
    """
    for part in parts:
        if part.flags.c_contiguous and part.dtype == part.dtype.newbyteorder("<"):
            yield raw_bytes(part)
        else:
            yield from (raw_bytes(part[box]) for box in strips(part.shape, PIECE // part.itemsize))


def deflated(size: int) -> int:
    """Return the most bytes that `packed_parts` makes of so many bytes."""
    return size + (size >> 8) + (64 << 10)


def packed_parts(
    parts: Iterable[bytes | memoryview], wbits: int = isal_zlib.MAX_WBITS
) -> Iterator[bytes]:
    """Compress bytes as they come.

    Parameters
    ----------
    parts : iterable of bytes or memoryview
        Flat, of bytes.
    wbits : int
        As zlib has it: a zlib stream, or with `GZIP` a gzip file.
    """
    packer = isal_zlib.compressobj(LEVEL, wbits=wbits)
    for part in parts:
        for start in range(0, len(part), PIECE):
            if packed := packer.compress(part[start : start + PIECE]):
                yield packed
    yield packer.flush()
