"""What a documented source is asked: a path, and a tile of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import BoundingBox, Scale, zyx
from bfly.keywords import INPUT, OUTPUT, RUNTIME
from bfly.sources.tile_coordinates import TileCoordinates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.keywords import NamelessStruct
    from bfly.sources.tile_coordinates import Numbers

__all__ = ["TileRequest"]


class TileRequest(TileCoordinates):
    """The part of a `TileQuery` that documented sources use.

    Parameters
    ----------
    path : str
        The channel's file or folder.
    keywords : mapping
        What the source gave as its keywords. `INPUT`, `RUNTIME` and `OUTPUT` have them as the
        values of the fields of these names.
    mip : int
        The mip.
    scale : Scale
        The mip's shape and factor; its chunk is the shape of a tile.
    index : tuple of int
        The tile's position zyx, counted in tiles from the first voxel of the file.
    """

    def __init__(
        self,
        path: str,
        keywords: Mapping[str, Any] | None = None,
        mip: int = 0,
        scale: Scale = Scale((1, 1, 1), (1, 1, 1)),  # noqa: B008 - frozen
        index: Zyx = (0, 0, 0),
    ) -> None:
        self.path, self.keywords = path, keywords or {}
        self.mip, self._scale, self.index = mip, scale, index
        tile = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk)
        self.box = tile & scale.box
        self.crop = self.box.relative_to(tile.start)

    @property
    def blocksize(self) -> Numbers:
        """Shape of a tile, at the mip."""
        return np.array(self._scale.chunk)

    @property
    def all_scales(self) -> Numbers:
        """Voxels of mip 0 per voxel of the tile."""
        return np.array(self._scale.factor)

    @property
    def key(self) -> str:
        """Key of the tile, unique among all tiles of the path."""
        return f"{self.path}@{self.mip}/{zyx(self.index)}"

    @cached_property
    def INPUT(self) -> INPUT:  # noqa: N802 - documented name
        """The request, as named fields."""
        words = INPUT()
        words.METHODS.VALUE = "data"
        words.RESOLUTION.XY.VALUE = self.mip
        return words

    @cached_property
    def RUNTIME(self) -> RUNTIME:  # noqa: N802
        """Place of the tile, and keywords of the source, as named fields."""
        words = RUNTIME()
        words.TILE.ZYX.VALUE = self.index_zyx
        words.TILE.KJI.VALUE = self.pixels_kji
        words.TILE.SCALES.VALUE = self.all_scales
        _set(words.IMAGE, self.keywords)
        return words

    @cached_property
    def OUTPUT(self) -> OUTPUT:  # noqa: N802
        """Path and properties of the channel, as named fields."""
        words = OUTPUT()
        _set(words.INFO, {**self.keywords, "path": self.path})
        return words


def _set(field: NamelessStruct, values: Mapping[str, Any]) -> None:
    """Set the fields below a field to the values of their names."""
    for name in field:
        if name in values:
            field[name].VALUE = values[name]
        _set(field[name], values)
