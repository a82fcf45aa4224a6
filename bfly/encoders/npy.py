"""NumPy's npy: a header, and the bytes of the voxels behind it.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import PIECE, Encoder, raw_parts
from bfly.encoders.strips import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Npy", "npy_parts"]

HEADER = 128
"""Bytes of a header of version 1.0 for at most four axes: padded to a multiple of 64."""


class Npy(Encoder):
    """An npy array of shape (z, y, x), little-endian and not compressed: `numpy.load` reads it."""

    media_type = "application/octet-stream"
    streams = True

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Return header and voxels; see `Encoder.encode`."""
        return joined(npy_parts(iter([voxels]), voxels.shape), HEADER + voxels.nbytes)

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]:
        return npy_parts(parts, shape)

    @override
    def memory(
        self,
        shape: Zyx,
        dtype: np.dtype[Any],
        *,
        view: str = "grayscale",
        kind: str = "image",
        part: int | None = None,
    ) -> int:
        size = math.prod(shape) * dtype.itemsize
        return HEADER + (2 * min(size, PIECE) if part is not None else size + min(size, PIECE))


def npy_parts(
    parts: Iterator[NDArray[Any]], shape: tuple[int, ...]
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a ``.npy`` file from the parts of its array, which has any shape."""
    for number, part in enumerate(parts):
        if not number:
            yield _header(part.dtype, shape)
        yield from raw_parts([part])


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype.newbyteorder("<"))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()
