"""Encodings of precomputed chunks that TensorStore does not have.

jxl: ``volume.md`` in ``src/datasource/precomputed/`` of the Neuroglancer repository. crackle: the
README of https://github.com/seung-lab/crackle. CloudVolume (``chunks.py``) writes these and others.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from bfly.errors import MissingLibrary, SourceError
from bfly.sources.codecs import checked_crackle
from bfly.sources.codecs.isolated import isolated
from bfly.sources.shared.images import naming

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.sources.shared.own_chunks import Decode

__all__ = ["IN_TENSORSTORE", "decoder_of"]

IN_TENSORSTORE = ("raw", "jpeg", "png", "compressed_segmentation")

REFUSED = {
    "compresso": "its decoder is partly under the LGPL",
    "fpzip": "its decoder reads beyond the end of damaged data",
    "kempressed": "its decoder, fpzip, reads beyond the end of damaged data",
    "zfpc": "its decoder is under the LGPL",
    "npz": "it is an old encoding of CloudVolume",
    "npz_uint8": "it is an old encoding of CloudVolume",
}
"""Encodings of CloudVolume that are not read, and why."""

CONVERT = (
    "Convert the volume: CloudVolume reads it, and writes another one with the encoding raw, or "
    "compressed_segmentation for labels."
)


def decoder_of(encoding: Any, dtype: Any, channels: int, path: str) -> Decode:
    """Return the decoder of the chunks of a scale.

    Parameters
    ----------
    encoding, dtype : object
        As the ``info`` states them.
    channels : int
        Number of channels.
    path : str
        Name of the volume in messages.

    Raises
    ------
    SourceError
        There is no such encoding, it is not read, or it does not hold the dtype.
    MissingLibrary
        Its decoder is not installed.
    """
    if encoding == "jxl":
        if dtype != "uint8" or channels not in (1, 3, 4):
            raise SourceError(
                f"{path}: the encoding jxl has {channels} channels of {dtype}; allowed are 1, 3 or "
                "4 of uint8."
            )
        return _jxl
    if encoding == "crackle":
        if not str(dtype).startswith("uint") or channels != 1:
            raise SourceError(
                f"{path}: the encoding crackle has {channels} channels of {dtype}; allowed is one "
                "of unsigned integers."
            )
        if find_spec("crackle") is None:
            raise MissingLibrary(
                f"{path} has the encoding crackle, which needs crackle-codec: "
                "pip install 'bfly[crackle]'."
            )
        return partial(_crackle, dtype=np.dtype(str(dtype)))
    if encoding in REFUSED:
        raise SourceError(
            f"{path}: the encoding {encoding} is not read: {REFUSED[encoding]}. {CONVERT}"
        )
    allowed = [*IN_TENSORSTORE, "jxl", "crackle"]
    raise SourceError(f"{path}: the encoding is {encoding!r:.50}; allowed are {allowed}.")


def _jxl(data: bytes, what: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the voxels (x, y, z, channel) of an image with a row for each y and z.

    Its channels are interleaved, or planes as CloudVolume writes them. libjxl compares the size
    that the image states with that of the array before it decodes.
    """
    x, y, z, channels = shape
    planes = [(y * z, x)] if channels == 1 else [(y * z, x, channels), (channels, y * z, x)]
    for place in planes:
        image = np.empty(place, np.uint8)
        try:
            with naming(what):
                imagecodecs.jpegxl_decode(data, out=image)
        except SourceError:
            if place != planes[-1]:
                continue
            raise
        break
    if image.shape[0] == channels != 1:
        image = np.moveaxis(image, 0, -1)
    return image.reshape(z, y, x, channels).transpose(2, 1, 0, 3)


def _crackle(data: bytes, what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the voxels (x, y, z, channel) of a stream whose header states the expected size."""
    stated = tuple(int.from_bytes(data[at : at + 4], "little") for at in (7, 11, 15))
    if data[:4] != b"crkl" or stated != shape[:3] or 1 << (data[5] & 3) != dtype.itemsize:
        raise SourceError(
            f"{what} is no chunk of the volume: its header is {data[:19].hex()}; expected are "
            f"{shape[:3]} voxels (x, y, z) of {dtype}."
        )
    voxels: NDArray[Any] = isolated(checked_crackle.__name__, "voxels_of", data, what)
    if voxels.shape != shape[:3] or voxels.dtype.itemsize != dtype.itemsize:
        raise SourceError(f"{what} has {voxels.shape} voxels of {voxels.dtype}.")
    return voxels.astype(dtype, copy=False)[..., np.newaxis]
