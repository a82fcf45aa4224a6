"""TIFF: one page a section, voxels kept as they are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import tifffile

from bfly.encoders.encoder import Encoder, in_order
from bfly.encoders.views import render

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tiff"]


class Tiff(Encoder):
    """Uncompressed pages; ``grayscale`` keeps the dtype, also of labels, other views are RGB."""

    media_type = "image/tiff"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> memoryview:
        """Write a cutout (z, y, x) as z pages; see `Encoder.encode`."""
        pages = voxels if view == "grayscale" else render(voxels, view, kind)
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as tiff:
            for page in pages:
                tiff.write(
                    in_order(page),
                    photometric="minisblack" if page.ndim == 2 else "rgb",
                    metadata=None,
                    software=False,
                )
        return file.getbuffer()
