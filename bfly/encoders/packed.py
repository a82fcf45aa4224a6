"""Base of the formats of a header and the bytes of voxels, compressed by igzip."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.encoder import PIECE, Encoder, deflated
from bfly.encoders.strips import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["PackedEncoder"]


class PackedEncoder(Encoder):
    """Base of the encoders that compress voxels as a stream, in little memory."""

    streams = True

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Compress the cutout; see `Encoder.encode`."""
        return joined(self.encode_parts(iter([voxels]), voxels.shape), deflated(voxels.nbytes))

    @override
    @abstractmethod
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]: ...

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
        size = math.prod(shape) * dtype.itemsize
        work = 4 * min(size, PIECE)
        return work if part is not None else work + deflated(size)
