"""HDF5: a file of one dataset, in compressed chunks."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from isal import isal_zlib
from typing_extensions import override

from bfly.encoders.encoder import LEVEL, Encoder, deflated, in_order, raw_bytes
from bfly.encoders.strips import STRIP, strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Hdf5"]

COPIED = 32 << 20
"""Bytes of a file that grows in memory: below, the allocator may copy it to where there is room."""


class Hdf5(Encoder):
    """The voxels with their dtype, compressed by HDF5's own gzip filter.

    Parameters
    ----------
    name : str
        The dataset's place in the file.
    """

    media_type = "application/x-hdf5"

    def __init__(self, name: str = "main") -> None:
        self._name = name

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> memoryview:
        """Write the cutout (z, y, x); see `Encoder.encode`.

        It is compressed here rather than by HDF5, which would hold its one lock meanwhile.
        """
        boxes = strips(voxels.shape)
        dtype = voxels.dtype.newbyteorder("<")
        first = next(boxes)
        chunk = voxels[first].shape
        file = io.BytesIO()
        with h5py.File(file, "w") as hdf5:
            dataset = hdf5.create_dataset(
                self._name, voxels.shape, dtype, chunks=chunk, compression="gzip"
            )
            for box in (first, *boxes):
                packed = isal_zlib.compress(raw_bytes(_filled_up(voxels[box], chunk)), LEVEL)
                dataset.id.write_direct_chunk(tuple(along.start for along in box), packed)
        return file.getbuffer()

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
        chunk = min(size, STRIP * dtype.itemsize)
        return deflated(size) + min(size, COPIED) + 3 * chunk


def _filled_up(voxels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return voxels in C order with zeros behind them, as HDF5 wants chunks at the end."""
    if voxels.shape == shape:
        return in_order(voxels)
    whole = np.zeros(shape, voxels.dtype.newbyteorder("<"))
    whole[tuple(map(slice, voxels.shape))] = voxels
    return whole
