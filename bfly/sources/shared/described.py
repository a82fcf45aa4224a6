"""Arrays that TensorStore opens on any store, from metadata that were read before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.shared.kvstore import CONTEXT, PATIENCE, failure
from bfly.sources.voxel_types import is_converted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.geometry import Zyx
    from bfly.sources.shared.arrays import Array

__all__ = ["Described", "Memory", "documents_of"]


class Memory:
    """Objects in memory, as a store for TensorStore.

    Parameters
    ----------
    objects : mapping
        Bytes of each object by its name; None for a missing object.
    """

    def __init__(self, objects: Mapping[str, bytes | None]) -> None:
        self.context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
        self._store = ts.KvStore.open({"driver": "memory"}, context=self.context).result()
        for name, data in objects.items():
            if data is not None:
                self.add(name, data)

    def add(self, name: str, data: bytes) -> None:
        """Add an object."""
        self._store[name] = data

    def spec(self, name: str) -> dict[str, Any]:
        """Return TensorStore's description of the objects below a name."""
        return {"driver": "memory", "path": f"{name}/" if name else ""}


def documents_of(arrays: Iterable[Array]) -> dict[str, bytes | None]:
    """Return the metadata that arrays state in place of those in their store, by name."""
    stated = [array.document for array in arrays if array.document is not None]
    return {name: json.dumps(content).encode() for name, content in stated}


class Described:
    """An array with checked metadata, which TensorStore does not read again.

    Parameters
    ----------
    array : Array
        Its path in the store, and its axes.
    documents : Memory
        The metadata.
    path : str
        Name of the channel in messages.

    Attributes
    ----------
    stored_shape, stored_chunk : list of int
        Shapes of the array and of a chunk that is read at once, along all stored axes.
    fill_value : numpy scalar, optional
        Voxel of a chunk that is missing; None if the metadata state none.
    dtype : numpy.dtype
        As stored.

    Raises
    ------
    SourceError
        TensorStore cannot use the metadata.
    """

    def __init__(self, array: Array, documents: Memory, path: str) -> None:
        self.array = array
        self.path = path
        spec = {**array.spec, "kvstore": documents.spec(array.name)}
        opened = self._opened(spec, documents.context, assume_metadata=False)
        self._spec = opened.spec().to_json()
        self._spec.pop("transform", None)
        stated = opened.chunk_layout.read_chunk.shape or (1,) * opened.rank
        self.stored_shape = [int(side) for side in opened.shape]
        self.stored_chunk = [side or 1 for side in stated]
        self.chunk: Zyx = zyx([1, 1, *(self.stored_chunk[axis] for axis in array.axes)][-3:])
        if len(array.axes) + len(array.at) != opened.rank or 0 in opened.shape:
            raise SourceError(
                f"{path}: {array.name or 'the array'} has the shape {opened.shape}; allowed "
                "are z, y and x, none empty, and other axes that select a volume."
            )
        volume = self._volume(opened)
        self.shape: Zyx = zyx(volume.shape)
        self.dtype = volume.dtype.numpy_dtype
        self.fill_value = opened.fill_value

    def open(self, store: dict[str, Any], context: ts.Context = CONTEXT) -> ts.TensorStore:
        """Open the array as z, y, x from 0; `store` describes the objects below its name.

        Floats of other widths are read as float32, chunk by chunk.
        """
        spec = {**self._spec, "kvstore": store}
        volume = self._volume(self._opened(spec, context, assume_metadata=True))
        return ts.cast(volume, ts.float32) if is_converted(self.dtype) else volume

    def _opened(
        self, spec: dict[str, Any], context: ts.Context, *, assume_metadata: bool
    ) -> ts.TensorStore:
        spec = {**spec, "recheck_cached_data": "open", "recheck_cached_metadata": "open"}
        try:
            return ts.open(
                spec, read=True, open=True, assume_metadata=assume_metadata, context=context
            ).result(PATIENCE)
        except Exception as error:
            raise failure(f"{self.path} cannot be opened", error) from error

    def _volume(self, opened: ts.TensorStore) -> ts.TensorStore:
        axes = self.array.axes
        index: list[Any] = [slice(None)] * opened.rank
        for axis, place in self.array.at.items():
            index[axis] = opened.domain.origin[axis] + place
        kept = sorted(axes)
        volume = opened[tuple(index)].transpose([kept.index(axis) for axis in axes])
        if len(axes) == 2:
            volume = volume[ts.newaxis]
        return volume[ts.d[:].translate_to[0]]
