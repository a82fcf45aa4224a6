"""Npz, as NDStore calls it: a zlib stream of a ``.npy`` file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from bfly.encoders.encoder import LEVEL, Encoder, in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Npz", "packed_npy"]


class Npz(Encoder):
    """An npy array of shape (1, z, y, x), compressed (RFC 1950); not numpy's own archive."""

    media_type = "application/octet-stream"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Compress the cutout and its shape and dtype; see `Encoder.encode`."""
        return packed_npy(voxels[np.newaxis])


def packed_npy(array: NDArray[Any]) -> bytes:
    """Give a ``.npy`` file of an array as a zlib stream."""
    file = io.BytesIO()
    np.save(file, in_order(array))
    return isal_zlib.compress(file.getbuffer(), LEVEL)
