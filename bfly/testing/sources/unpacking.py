"""Decoding of stored chunks with other decoders than Butterfly's own."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import TYPE_CHECKING, Any

import compressed_segmentation
import imagecodecs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs

__all__ = ["unpacked"]

HEADER = 16
"""Bytes of the header of an N5 block with three axes."""

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "br": lambda data: bytes(imagecodecs.brotli_decode(data)),
    "deflate": zlib.decompress,
    "gzip": gzip.decompress,
    "zstd": lambda data: bytes(imagecodecs.zstd_decode(data)),
}


def unpacked(data: bytes, way: StoredAs, shape: Zyx, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decompress and decode a chunk.

    Parameters
    ----------
    data : bytes
        The result of `Datasource.read_encoded`.
    way : StoredAs
        The form in which it is stored.
    shape : tuple of int
        The expected shape (z, y, x).
    dtype : numpy.dtype
        The dtype of the source.

    Returns
    -------
    numpy.ndarray
        Voxels of that shape and dtype.

    Raises
    ------
    Exception
        It is not a chunk of that form, or it has another number of voxels.
    """
    data = CODINGS[way.coding](data)
    match way.format:
        case "jpeg":
            voxels = imagecodecs.jpeg8_decode(data)
        case "png":
            voxels = imagecodecs.png_decode(data)
        case "compressed_segmentation":
            voxels = compressed_segmentation.decompress(data, shape[::-1], dtype, (8, 8, 8), "F").T
        case "n5":
            assert struct.unpack_from(">HHIII", data) == (0, 3, *shape[::-1])
            voxels = np.frombuffer(gzip.decompress(data[HEADER:]), dtype.newbyteorder(">"))
        case "zstd":
            voxels = np.frombuffer(imagecodecs.zstd_decode(data), dtype)
        case "blosc":
            voxels = np.frombuffer(imagecodecs.blosc_decode(data), dtype)
        case "raw":
            voxels = np.frombuffer(data, dtype)
        case _:
            raise ValueError(f"{way.format} is not known here.")
    return np.asarray(voxels.reshape(shape), dtype)
