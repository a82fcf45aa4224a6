"""Butterfly's zip: a zlib stream of the bytes of the voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.encoder import packed_parts, raw_parts
from bfly.encoders.packed import PackedEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Zip"]


class Zip(PackedEncoder):
    """Little-endian voxels, x fastest, compressed (RFC 1950); not a zip archive."""

    media_type = "application/zip"

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        return packed_parts(raw_parts(parts))
