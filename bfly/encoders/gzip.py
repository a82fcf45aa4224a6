"""Gzip: the bytes of the voxels in one gzip file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.encoder import GZIP, packed_parts, raw_parts
from bfly.encoders.packed import PackedEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Gzip"]


class Gzip(PackedEncoder):
    """The bytes of `Raw`, compressed (RFC 1952); DVID's ``compression=gzip``."""

    media_type = "application/octet-stream"

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        return packed_parts(raw_parts(parts), GZIP)
