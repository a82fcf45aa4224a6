"""NDStore's npz: a zlib stream of a ``.npy`` file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import packed_parts, raw_parts
from bfly.encoders.packed import PackedEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Npz", "packed_npy_parts"]


class Npz(PackedEncoder):
    """An npy array of shape (1, z, y, x), compressed (RFC 1950); not numpy's ``.npz`` archive."""

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
        return packed_npy_parts(parts, (1, *shape))


def packed_npy_parts(parts: Iterator[NDArray[Any]], shape: tuple[int, ...]) -> Iterator[bytes]:
    """Yield the zlib stream of a ``.npy`` file from the parts of its array."""

    def file() -> Iterator[bytes | memoryview]:
        for number, part in enumerate(parts):
            if not number:
                yield _npy_header(part.dtype, shape)
            yield from raw_parts([part])

    return packed_parts(file())


def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype.newbyteorder("<"))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()
