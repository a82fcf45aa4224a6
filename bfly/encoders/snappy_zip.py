"""Cubes of labels as KNOSSOS stores them: 64 bits, compressed by Snappy, alone in a zip archive.

What KNOSSOS reads: ``loader.cpp`` of https://github.com/knossos-project/knossos.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any, cast

import imagecodecs
from typing_extensions import override

from bfly.encoders.encoder import Encoder, raw_bytes
from bfly.encoders.unsigned import as_unsigned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["SnappyZip"]

LABEL = 8
"""Bytes of a label."""


class SnappyZip(Encoder):
    """Labels as little-endian integers of 64 bits, x fastest."""

    media_type = "application/zip"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Compress the cutout; `BadRequest` if a label is negative."""
        labels = as_unsigned(voxels, "A cube of labels of KNOSSOS").astype("<u8")
        packed = imagecodecs.snappy_encode(cast("bytes", raw_bytes(labels)))
        stream = io.BytesIO()
        # Without a time, so that equal voxels give equal bytes.
        entry = zipfile.ZipInfo("cube.seg.sz")
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry, packed, zipfile.ZIP_DEFLATED, compresslevel=1)
        return stream.getvalue()

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
        # The labels, what is compressed of them once and twice, and the file.
        return 5 * math.prod(shape) * LABEL
