"""Volumes that lie in many files, one a tile of a regular grid."""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.shared.images import decode, is_grey_jpeg
from bfly.sources.source import Datasource
from bfly.storage.limits import METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["TileGrid", "by"]


class TileGrid(Datasource):
    """Base of sources whose tiles are files; `Scale.chunk` is the tile.

    A derived class says where a tile lies (`_tile_path`); here boxes are put together. A
    tile without a file is zeros, one that cannot be read an error.
    """

    @abstractmethod
    def _tile_path(self, mip: int, index: Zyx) -> str | None:
        """Give the file of the tile at `index` (z, y, x, counted in tiles), None if it has none."""

    def _decode(self, data: bytes, path: str) -> NDArray[Any]:
        """Turn a file into voxels of shape (z, y, x)."""
        return decode(data, path, labels=self._kind == "segmentation", limit=self.files.max_chunk)

    def _check(self, tile: NDArray[Any], need: Zyx, path: str) -> None:
        """Raise `SourceError` unless a decoded tile has at least the `need`-ed shape."""
        if any(has < least for has, least in zip(tile.shape, need, strict=True)):
            raise SourceError(
                f"{path} is {by(tile.shape)} voxels; its place in the volume needs {by(need)}."
            )

    def _read_file(self, path: str) -> bytes | None:
        """Read a whole file and watch it, None where there is none.

        Raises
        ------
        SourceChanged
            Another folder has taken the place of the channel's since it was opened.
        """
        opened = self._opened
        self._watch(path)
        try:
            data = self.files.read_bytes(path)
        except FileNotFoundError:
            data = None
        # Also a new folder may be half of what is served until the next look at all files.
        if self._identity() != opened:
            raise SourceChanged(f"{self.path} changed on disk while it was read.")
        return data

    @cached_property
    def _opened(self) -> tuple[int, int] | None:
        """What the channel's folder, or the list of its tiles, was when it was opened."""
        return self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _read_document(self, path: str) -> bytes | None:
        """Read metadata as `_read_file` reads a file."""
        self._watch(path)
        try:
            return self.files.read_bytes(path, METADATA)
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

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return (StoredAs("jpeg", ""),)

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        path = self._tile_path(mip, index)
        if path is None or not path.lower().endswith((".jpg", ".jpeg")):
            return None
        scale = self.scales[mip]
        box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
        depth, height, width = box.shape
        data = self._read_file(path)
        known = data is not None and depth == 1 and self.dtype == np.uint8
        return data if known and data and is_grey_jpeg(data, (height, width)) else None

    def _read_inside(self, mip: int, box: BoundingBox) -> NDArray[Any]:
        scale = self.scales[mip]
        result: NDArray[Any] | None = None
        for index in indexes(box.in_tiles(scale.chunk)):
            path = self._tile_path(mip, index)
            if path is None:
                continue
            start = zyx(i * size for i, size in zip(index, scale.chunk, strict=True))
            whole = BoundingBox.of_shape(scale.chunk, start) & scale.box
            part = whole & box
            tile = self._read_tile(path, whole.shape)
            if tile is not None and whole == box and tile.shape == box.shape:
                # Whole sections are large: one that is all that is wanted is not copied.
                return np.ascontiguousarray(tile, self.dtype)
            if tile is not None:
                if result is None:
                    result = np.zeros(box.shape, self.dtype)
                result[part.relative_to(box.start).slices] = tile[part.relative_to(start).slices]
        return np.zeros(box.shape, self.dtype) if result is None else result


def by(shape: tuple[int, ...]) -> str:
    """Give a shape as messages have it: ``1 x 512 x 512``."""
    return " x ".join(map(str, shape))
