"""Raw: the bytes of the voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.encoder import Encoder, raw_bytes, raw_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Raw"]


class Raw(Encoder):
    """Little-endian voxels, x fastest, no header: also the ``raw`` chunk of precomputed."""

    media_type = "application/octet-stream"
    streams = True
    verbatim = True

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> memoryview:
        """Return a view of the cutout's memory; see `Encoder.encode`."""
        return raw_bytes(voxels)

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[memoryview]:
        return raw_parts(parts)

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
        return 0
