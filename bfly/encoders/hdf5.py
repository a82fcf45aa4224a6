"""HDF5: a file of one dataset in one compressed chunk."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import h5py
from isal import isal_zlib

from bfly.encoders.encoder import LEVEL, Encoder, in_order, raw_bytes
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hdf5"]

LARGEST = 2**32 - 1
"""Bytes of a chunk, which HDF5 counts in 32 bits."""


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
        if voxels.nbytes > LARGEST:
            raise BadRequest(
                f"The cutout takes {voxels.nbytes} bytes; a chunk of HDF5 has at most {LARGEST}."
            )
        voxels = in_order(voxels)
        packed = isal_zlib.compress(raw_bytes(voxels), LEVEL)
        file = io.BytesIO()
        with h5py.File(file, "w") as hdf5:
            dataset = hdf5.create_dataset(
                self._name, voxels.shape, voxels.dtype, chunks=voxels.shape, compression="gzip"
            )
            dataset.id.write_direct_chunk((0, 0, 0), packed)
        return file.getbuffer()
