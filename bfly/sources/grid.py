"""Volumes that lie in many files, one a tile of a regular grid."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import OrderedDict
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import SourceError
from bfly.files import stamp_of
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.sources.images import decode
from bfly.sources.source import Datasource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.files import Files, Stamp
    from bfly.geometry import Zyx

__all__ = ["TileGrid", "by"]

KEPT = 2
"""How many decoded files are kept of which only a part has been asked for."""


class TileGrid(Datasource):
    """Base of sources whose tiles are files; `Scale.chunk` is the tile.

    A derived class says where a tile lies (`_tile_path`); here boxes are put together. A
    tile without a file is zeros, one that cannot be read an error.
    """

    def __init__(
        self,
        path: str,
        *,
        files: Files | None = None,
        kind: str | None = None,
        voxel_size: tuple[float, float, float] | None = None,
    ) -> None:
        super().__init__(path, files=files, kind=kind, voxel_size=voxel_size)
        self._recent = _Recent()

    @abstractmethod
    def _tile_path(self, mip: int, index: Zyx) -> str | None:
        """Give the file of the tile at `index` (z, y, x, counted in tiles), None if it has none."""

    def _decode(self, data: bytes, path: str) -> NDArray[Any]:
        """Turn a file into voxels of shape (z, y, x)."""
        return decode(data, path, labels=self._kind == "segmentation")

    def _check(self, tile: NDArray[Any], need: Zyx, path: str) -> None:
        """Raise `SourceError` unless a decoded tile has at least the `need`-ed shape."""
        if any(has < least for has, least in zip(tile.shape, need, strict=True)):
            raise SourceError(
                f"{path} is {by(tile.shape)} voxels; its place in the volume needs {by(need)}."
            )

    def _read_file(self, path: str) -> bytes | None:
        """Read a whole file and watch it, None where there is none."""
        self._watch(path)
        try:
            return self.files.read_bytes(path)
        except FileNotFoundError:
            return None

    def _read_tile(self, path: str, need: Zyx) -> NDArray[Any] | None:
        data = self._read_file(path)
        if data is None:
            return None
        tile = self._decode(data, path)
        self._check(tile, need, path)
        if not np.can_cast(tile.dtype, self.dtype, "safe"):
            raise SourceError(f"{path} holds {tile.dtype} voxels, the volume's are {self.dtype}.")
        return tile

    def _read_inside(self, mip: int, box: BoundingBox) -> NDArray[Any]:
        scale = self.scales[mip]
        result = np.zeros(box.shape, self.dtype)
        for index in indexes(box.in_tiles(scale.chunk)):
            path = self._tile_path(mip, index)
            if path is None:
                continue
            start = zyx(i * size for i, size in zip(index, scale.chunk, strict=True))
            whole = BoundingBox.of_shape(scale.chunk, start) & scale.box
            part = whole & box
            if part == whole:
                tile = self._read_tile(path, whole.shape)
            else:
                tile = self._recent.get(path, partial(self._read_tile, path, whole.shape))
            if tile is not None:
                result[part.relative_to(box.start).slices] = tile[part.relative_to(start).slices]
        return result


class _Recent:
    """The last decoded files: a section far larger than a box is decoded once for its boxes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiles: OrderedDict[tuple[str, Stamp], Future[NDArray[Any] | None]] = OrderedDict()

    def get(self, path: str, read: Callable[[], NDArray[Any] | None]) -> NDArray[Any] | None:
        """Give the voxels of a file; of many callers at once one decodes and the others wait."""
        key = path, stamp_of(path)
        with self._lock:
            known = self._tiles.get(key)
            tile = self._tiles[key] = known or Future()
            self._tiles.move_to_end(key)
            if len(self._tiles) > KEPT:
                self._tiles.popitem(last=False)
        if known is None:
            try:
                tile.set_result(read())
            except BaseException as error:
                tile.set_exception(error)
                with self._lock:
                    self._tiles.pop(key, None)
        return tile.result()


def by(shape: tuple[int, ...]) -> str:
    """Give a shape as messages have it: ``1 x 512 x 512``."""
    return " x ".join(map(str, shape))
