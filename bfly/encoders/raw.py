"""Raw: the voxels' own bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.encoders.encoder import Encoder, raw_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Raw"]


class Raw(Encoder):
    """Little-endian, x fastest, no header: also the precomputed format's ``raw`` chunk."""

    media_type = "application/octet-stream"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> memoryview:
        """Lend the cutout's own memory; see `Encoder.encode`."""
        return raw_bytes(voxels)
