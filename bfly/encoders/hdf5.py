"""HDF5: a file with one dataset, in compressed chunks."""

from __future__ import annotations

import io
import itertools
import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from isal import isal_zlib
from typing_extensions import override

from bfly.encoders.encoder import LEVEL, Encoder, deflated, in_order, raw_bytes
from bfly.encoders.strips import STRIP, strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Hdf5"]

COPIED = 32 << 20
"""Bytes of a growing file up to which the allocator may move it, with a copy."""


class Hdf5(Encoder):
    """The voxels with their dtype, compressed for HDF5's own gzip filter.

    Parameters
    ----------
    name : str
        Path of the dataset in the file.
    """

    media_type = "application/x-hdf5"

    streams = True

    def __init__(self, name: str = "main") -> None:
        self._name = name

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> memoryview:
        """Encode the cutout (z, y, x); see `Encoder.encode`."""
        (file,) = self.encode_parts(iter([voxels]), voxels.shape)
        return file

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[memoryview]:
        """Yield the file as one piece, since its index is complete only at the end.

        Voxels are compressed here: HDF5 would hold its global lock meanwhile.
        """
        boxes = list(strips(shape))
        chunk = tuple(along.stop for along in boxes[0])
        pieces = (in_order(part[box]) for part in parts for box in strips(part.shape))
        first = next(pieces)
        file = io.BytesIO()
        with h5py.File(file, "w") as hdf5:
            dataset = hdf5.create_dataset(
                self._name, shape, first.dtype, chunks=chunk, compression="gzip"
            )
            voxels = _regrouped(itertools.chain([first], pieces), map(_shape_of, boxes))
            for box, some in zip(boxes, voxels, strict=True):
                packed = isal_zlib.compress(raw_bytes(_filled_up(some, chunk)), LEVEL)
                dataset.id.write_direct_chunk(tuple(along.start for along in box), packed)
        yield file.getbuffer()

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
        chunk = min(size, STRIP * dtype.itemsize)
        return deflated(size) + min(size, COPIED) + 4 * chunk


def _shape_of(box: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(along.stop - along.start for along in box)


def _regrouped(
    pieces: Iterator[NDArray[Any]], shapes: Iterable[tuple[int, ...]]
) -> Iterator[NDArray[Any]]:
    """Yield voxels, which come in C order, in arrays of other shapes."""
    piece = next(pieces)
    for shape in shapes:
        if piece.shape == shape:
            yield piece
            piece = next(pieces, piece[:0])
            continue
        filled = np.empty(shape, piece.dtype)
        flat, done = filled.reshape(-1), 0
        while done < flat.size:
            piece = piece.reshape(-1) if piece.size else next(pieces).reshape(-1)
            count = min(flat.size - done, piece.size)
            flat[done : done + count] = piece[:count]
            piece, done = piece[count:], done + count
        yield filled
        piece = piece if piece.size else next(pieces, piece)


def _filled_up(voxels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return voxels in C order, padded with zeros: HDF5 stores edge chunks filled."""
    if voxels.shape == shape:
        return in_order(voxels)
    filled = np.zeros(shape, voxels.dtype.newbyteorder("<"))
    filled[tuple(map(slice, voxels.shape))] = voxels
    return filled
