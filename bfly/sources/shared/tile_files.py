"""Volumes stored in many files, one for each tile of a regular grid."""

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
    """Base of sources with a file for each tile; `Scale.chunk` is the tile.

    A derived class returns the file of a tile (`_tile_path`); this class assembles boxes. A
    tile without a file is zeros. A tile that cannot be read is an error.
    """

    @abstractmethod
    def _tile_path(self, mip: int, index: Zyx) -> str | None:
        """Return the file of the tile at `index` (z, y, x, in tiles), None if it has none."""

    def _decode(self, data: bytes, path: str) -> NDArray[Any]:
        """Decode a file to voxels of shape (z, y, x)."""
        return decode(data, path, labels=self._kind == "segmentation", limit=self.files.max_chunk)

    def _check(self, tile: NDArray[Any], need: Zyx, path: str) -> None:
        """Raise `SourceError` unless a decoded tile has at least the `need`-ed shape."""
        if any(has < least for has, least in zip(tile.shape, need, strict=True)):
            raise SourceError(
                f"{path} is {by(tile.shape)} voxels; its place in the volume needs {by(need)}."
            )

    def _read_file(self, path: str) -> bytes | None:
        """Read a whole file and watch it; return None if there is none.

        Raises
        ------
        SourceChanged
            The channel's folder was replaced since it was opened.
        """
        opened = self._opened
        self._watch(path)
        try:
            data = self.files.read_bytes(path)
        except FileNotFoundError:
            data = None
        # Otherwise tiles of both folders would be served until the next check of all files.
        if self._identity() != opened:
            raise SourceChanged(f"{self.path} changed on disk while it was read.")
        return data

    @cached_property
    def _opened(self) -> tuple[int, int] | None:
        """Device and inode of the channel's folder, or of its tile list, when it was opened."""
        return self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _read_document(self, path: str) -> bytes | None:
        """Read metadata and watch the file; return None if there is none."""
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
        fits = data is not None and depth == 1 and self.dtype == np.uint8
        return data if fits and data and is_grey_jpeg(data, (height, width)) else None

    def _read_inside(self, mip: int, box: BoundingBox) -> NDArray[Any]:
        scale = self.scales[mip]
        result: NDArray[Any] | None = None
        for index in indexes(box.in_tiles(scale.chunk)):
            path = self._tile_path(mip, index)
            if path is None:
                continue
            start = zyx(i * size for i, size in zip(index, scale.chunk, strict=True))
            bounds = BoundingBox.of_shape(scale.chunk, start) & scale.box
            part = bounds & box
            tile = self._read_tile(path, bounds.shape)
            if tile is not None and bounds == box and tile.shape == box.shape:
                # Sections are large: a tile that is exactly the box is not copied.
                return np.ascontiguousarray(tile, self.dtype)
            if tile is not None:
                if result is None:
                    result = np.zeros(box.shape, self.dtype)
                result[part.relative_to(box.start).slices] = tile[part.relative_to(start).slices]
        return np.zeros(box.shape, self.dtype) if result is None else result


def by(shape: tuple[int, ...]) -> str:
    """Return a shape as text for messages: ``1 x 512 x 512``."""
    return " x ".join(map(str, shape))
