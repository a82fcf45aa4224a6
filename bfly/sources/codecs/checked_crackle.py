"""Labels compressed by crackle, with all of their checksums compared.

The format: the README of https://github.com/seung-lab/crackle. Its decoder compares the checksum of
each section's boundaries, but not that of the labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["voxels_of"]


def voxels_of(data: bytes) -> NDArray[np.unsignedinteger[Any]]:
    """Return the labels (x, y, z) of a stream.

    Raises
    ------
    ValueError
        The labels do not have their checksum. Streams of version 0 have none.
    Exception
        The decoder finds other damage. It may also crash.
    """
    from crackle import codec
    from crackle.lib import crc32c

    if codec.header(data).format_version:
        found = crc32c(codec.raw_labels(data))
        if codec.labels_crc(data) != found:
            raise ValueError("the checksum of its labels is wrong")
    voxels: NDArray[np.unsignedinteger[Any]] = codec.decompress(data)
    return voxels
