"""Zip, as Butterfly has always called it: a zlib stream of the voxels' bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isal import isal_zlib
from typing_extensions import override

from bfly.encoders.encoder import LEVEL, Encoder, packed_parts, raw_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Zip"]


class Zip(Encoder):
    """Little-endian, x fastest, compressed (RFC 1950); not an archive."""

    media_type = "application/zip"
    streams = True

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Compress the cutout; see `Encoder.encode`."""
        return isal_zlib.compress(raw_bytes(voxels), LEVEL)

    @override
    def encode_parts(self, parts: Iterator[NDArray[Any]], shape: Zyx) -> Iterator[bytes]:
        return packed_parts(map(raw_bytes, parts))
