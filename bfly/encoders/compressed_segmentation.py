"""Neuroglancer's compressed_segmentation: labels in blocks with a table of ids each.

The format: ``src/sliceview/compressed_segmentation/README.md`` in the Neuroglancer repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import compressed_segmentation
import numpy as np

from bfly.encoders.encoder import Encoder, in_order
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLOCK", "CompressedSegmentation"]

BLOCK = (8, 8, 8)
"""Voxels of a block; what Neuroglancer itself writes."""


class CompressedSegmentation(Encoder):
    """One channel of uint32 or uint64 labels."""

    media_type = "application/octet-stream"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Write labels (z, y, x); see `Encoder.encode`."""
        if voxels.dtype not in (np.uint32, np.uint64):
            raise BadRequest(
                f"The voxels are {voxels.dtype}; compressed_segmentation holds uint32 and uint64."
            )
        labels = in_order(voxels)
        if not labels.flags.writeable:
            # The library wants to be able to write, though it does not; cached tiles forbid it.
            labels = labels.copy()
        return bytes(compressed_segmentation.compress(labels.T, BLOCK, order="F"))
