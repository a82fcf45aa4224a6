"""BossDB's npygz: a zlib stream of a ``.npy`` file, without a gzip header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.encoder import packed_parts
from bfly.encoders.npy import npy_parts
from bfly.encoders.packed import PackedEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Npygz"]


class Npygz(PackedEncoder):
    """An npy array of shape (z, y, x), compressed (RFC 1950)."""

    media_type = "application/npygz"

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        return packed_parts(npy_parts(parts, shape))
