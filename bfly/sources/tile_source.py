"""Adapter of the documented sources: a pair of functions for tiles, read as a `Datasource`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from typing_extensions import override

from bfly import registry
from bfly.errors import ButterflyError, SourceError
from bfly.geometry import BoundingBox, Scale, Zyx, ceil_div, indexes, zyx
from bfly.sources.source import Datasource
from bfly.sources.tile_request import TileRequest
from bfly.sources.voxel_types import as_served, bytes_dtype, served_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TileSource", "formats"]

log = logging.getLogger(__name__)

NEEDED = ("block-size", "data-type", "dimensions")
"""Keywords that `preload_source` has to give."""


class Pair(Protocol):
    """The documented contract of a source; both are static."""

    @staticmethod
    def load_tile(t_query: TileRequest) -> Any:
        """Return the voxels of a tile, zyx; at the volume's end it may be cut off."""

    @staticmethod
    def preload_source(t_query: TileRequest) -> Mapping[str, Any]:
        """Return the keywords of a path; empty if it is of another format."""


class TileSource(Datasource):
    """A channel of a documented source; `formats` derives a class for each of these.

    The rows of ``block-size`` are the shapes of a tile (zyx), one for each mip that the source
    loads; y and x are halved from each to the next. ``dimensions`` is the shape of mip 0, zyx
    or by axis.
    """

    pair: ClassVar[type[Pair]]

    @classmethod
    @override
    def guess_can_open(cls, path: str) -> bool:
        try:
            return bool(cls.pair.preload_source(TileRequest(path)))
        except Exception:
            log.debug("%s: the probe of %s failed", path, cls.name, exc_info=True)
            return False

    def _open(self) -> None:
        self.files.resolve(self.path)
        self._watch(self.path)
        self._words = self._ask(self.pair.preload_source, TileRequest(self.path))
        if missing := [name for name in NEEDED if name not in (self._words or {})]:
            raise SourceError(
                f"{self.path}: {missing} is not in the keywords that {self.pair.__name__} gives."
            )
        self._stored_dtype = np.dtype(self._words["data-type"]).newbyteorder("<")
        self.dtype = served_dtype(self._stored_dtype, self.path)
        shape = _by_axis(self._words["dimensions"])
        # A block may be larger than the volume.
        self._blocks = [zyx(block) for block in np.atleast_2d(self._words["block-size"])]
        self.scales = dict(enumerate(_scale(shape, mip, b) for mip, b in enumerate(self._blocks)))
        if (size := self._words.get("voxel-size")) is not None:
            z, y, x = (size[a] for a in "zyx") if isinstance(size, Mapping) else size
            self._stated = (float(z), float(y), float(x)), "voxel-size"

    def _ask(self, function: Callable[[TileRequest], Any], request: TileRequest) -> Any:
        """Call a function of the pair; what it raises becomes a `SourceError`."""
        try:
            return function(request)
        except (ButterflyError, MemoryError):
            raise
        except Exception as error:
            raise SourceError(
                f"{self.path}: {self.pair.__name__}.{function.__name__} failed: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _read_inside(self, mip: int, box: BoundingBox) -> Voxels:
        voxels = np.empty(box.shape, self.dtype)
        for index in indexes(box.in_tiles(self.scales[mip].chunk)):
            tile = TileRequest(self.path, self._words, mip, self.scales[mip], index)
            part = tile.box & box
            loaded = self._load(tile)[part.relative_to(tile.box.start).slices]
            voxels[part.relative_to(box.start).slices] = loaded
        return voxels

    def _load(self, tile: TileRequest) -> Voxels:
        """Load a whole tile.

        Raises
        ------
        SourceError
            What is loaded is not the voxels of the tile.
        """
        loaded = np.asarray(self._ask(self.pair.load_tile, tile))
        if loaded.ndim == 2:
            loaded = loaded[np.newaxis]
        small = loaded.ndim != 3 or any(map(int.__lt__, loaded.shape, tile.box.shape))
        stored = self.stored_dtype
        if small or not np.can_cast(loaded.dtype, stored):
            raise SourceError(
                f"{self.path}: {self.pair.__name__} loads {loaded.dtype} voxels of the shape "
                f"{loaded.shape} for tile {tile.index} of mip {tile.mip}, which has "
                f"{stored} voxels of the shape {tile.box.shape}."
            )
        voxels = loaded.astype(stored, copy=False)
        return as_served(voxels.view(bytes_dtype(stored)), self.dtype)


def formats() -> dict[str, type[Datasource]]:
    """Return all sources by name, those of the documented contract adapted."""
    return {name: _adapted(name, found) for name, found in registry.find("sources").items()}


@cache
def _adapted(name: str, found: Any) -> type[Datasource]:
    """Return a source itself, or the class of a documented pair that is no whole source."""
    whole = hasattr(found, "guess_can_open") and not inspect.isabstract(found)
    if whole or not (hasattr(found, "load_tile") and hasattr(found, "preload_source")):
        return found  # type: ignore[no-any-return]
    optional = {word: getattr(found, word) for word in ("endings", "marks") if hasattr(found, word)}
    own = {"__module__": found.__module__, "name": name, "pair": found}
    return type(found.__name__, (TileSource,), {**own, **optional})


def _scale(shape: Zyx, mip: int, block: Zyx) -> Scale:
    factor = 1, 1 << mip, 1 << mip
    return Scale(zyx(map(ceil_div, shape, factor)), block, factor)


def _by_axis(dimensions: Any) -> Zyx:
    """Return the shape zyx of a mapping by axis, or of an array."""
    named = isinstance(dimensions, Mapping)
    return zyx((dimensions[axis] for axis in "zyx") if named else np.ravel(dimensions).tolist())
