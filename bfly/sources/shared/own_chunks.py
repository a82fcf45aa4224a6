"""Chunks that are decoded here, because TensorStore does not have their codecs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.concurrency.admission import check_wanted
from bfly.geometry import BoundingBox, indexes
from bfly.sources.voxel_types import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.shared.arrays import Array
    from bfly.sources.shared.described import Described
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["Decode", "Fetch", "OwnChunks", "read_own"]

Decode = Callable[[bytes, str, tuple[int, ...]], "NDArray[Any]"]
"""Takes a stored chunk, its name in messages, and its shape inside the array, in the order of the
array's axes. Returns the voxels, at least of that shape. Raises `SourceError`."""

Fetch = Callable[["KeyValueStore", str, "Zyx", int], bytes | None]
"""Takes the store, the name of the object that holds a chunk, the first voxel (z, y, x) of the
chunk, and the bytes that it may have. Returns the stored chunk; None if it was never written."""


def whole_object(store: KeyValueStore, name: str, _start: Zyx, limit: int) -> bytes | None:
    """Return an object that holds one chunk."""
    return store.stored(name, limit)


@dataclass(frozen=True, slots=True)
class OwnChunks:
    """How chunks are found and decoded.

    Parameters
    ----------
    decode : callable
        See `Decode`.
    fetch : callable
        See `Fetch`.
    refused : str
        "" if TensorStore decodes no chunk of the array. Otherwise its words about those that it
        does not decode.
    """

    decode: Decode
    fetch: Fetch = whole_object
    refused: str = ""


def read_own(
    own: OwnChunks,
    store: KeyValueStore,
    array: Array,
    level: Described,
    box: BoundingBox,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Read a box of an array chunk by chunk.

    Parameters
    ----------
    own : OwnChunks
        The chunks of the array.
    store : KeyValueStore
        Holds them.
    array, level
        The array, as its metadata and as TensorStore describe it.
    box : BoundingBox
        In voxels of the array (z, y, x), inside it.
    dtype : numpy.dtype
        Of the result.

    Raises
    ------
    SourceError
        A chunk is damaged.
    """
    voxels = np.empty(box.shape, dtype)
    whole = BoundingBox.of_shape(level.shape)
    for index in indexes(box.in_tiles(level.chunk)):
        check_wanted()
        chunk = BoundingBox.of_shape((1, 1, 1), index).refined(level.chunk)
        part = chunk & box
        # Of a volume in shards, the first name stands for all.
        name = next(iter(array.names(part)))
        data = own.fetch(store, name, chunk.start, store.files.max_chunk)
        target = voxels[part.relative_to(box.start).slices]
        if data is None:
            target[...] = 0 if level.fill_value is None else level.fill_value
            continue
        what = f"{store.path}: {name}"
        decoded = own.decode(data, what, _stored_shape(array, level, chunk & whole))
        found = _in_order(decoded, array, level)[part.relative_to(chunk.start).slices]
        with quiet():
            target[...] = found.view("u1") if found.dtype.kind == "b" else found
    return voxels


def _stored_shape(array: Array, level: Described, inside: BoundingBox) -> tuple[int, ...]:
    """Return the shape of a chunk's part inside the array, in the order of its axes."""
    shape = list(map(min, level.stored_chunk, level.stored_shape))
    for axis, place in array.at.items():
        side = level.stored_chunk[axis]
        first = place - place % side
        shape[axis] = min(side, level.stored_shape[axis] - first)
    for axis, side in zip(array.axes, inside.shape[-len(array.axes) :], strict=True):
        shape[axis] = side
    return tuple(shape)


def _in_order(decoded: NDArray[Any], array: Array, level: Described) -> NDArray[Any]:
    """Return the volume in a chunk, as z, y and x."""
    index: list[Any] = [slice(None)] * decoded.ndim
    for axis, place in array.at.items():
        index[axis] = place % level.stored_chunk[axis]
    kept = sorted(array.axes)
    volume: NDArray[Any] = decoded[tuple(index)]
    volume = volume.transpose([kept.index(axis) for axis in array.axes])
    return volume[np.newaxis] if len(array.axes) == 2 else volume
