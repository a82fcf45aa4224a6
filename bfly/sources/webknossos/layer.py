"""Base of sources that are a layer: several mags, each an array of its own, are one pyramid."""

from __future__ import annotations

import logging
from abc import abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, ceil_div, zyx
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.source import Datasource
from bfly.storage.files import stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.kinds.stated import Stated
    from bfly.sources.mips import VoxelSize
    from bfly.sources.webknossos.level import Level
    from bfly.storage.files import Stamp

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Found", "LayerSource"]

log = logging.getLogger(__name__)

APART = 128
"""Voxels along each axis of what is decoded together if the grid of chunks does not begin at the
first voxel: then two neighbours decode a chunk at their border both."""


class Found(NamedTuple):
    """What a layer is made of.

    Parameters
    ----------
    levels : mapping
        By name, the finest first: voxels of mag 1 per voxel (z, y, x), and the mag.
    box : BoundingBox, optional
        Place of the layer in voxels of mag 1; by default, where the finest mag has voxels.
    size : tuple, optional
        Nanometres (z, y, x) of a voxel of the finest mag, and what states them.
    kind : tuple, optional
        The kind, and what states it.
    element : str
        The ``elementClass`` that the dataset states; "" if it states none.
    """

    levels: Mapping[str, tuple[Zyx, Level]]
    box: BoundingBox | None
    size: tuple[VoxelSize, str] | None
    kind: Stated | None
    element: str = ""


class LayerSource(Datasource):
    """A layer of a dataset of webKnossos.

    A derived class finds its mags (`_found`); this class maps them to mips and reads boxes.
    """

    has_parts = True
    in_one_thread = True

    @abstractmethod
    def _found(self) -> Found:
        """Return what the layer is made of; raise as `open`."""

    def _open(self) -> None:
        found = self._found()
        self._stated, self._stated_kind = found.size, found.kind
        (first, finest), *_ = found.levels.values()
        box = found.box or finest.extent().refined(first)
        places = {name: _at(box, steps) for name, (steps, _) in found.levels.items()}
        levels = {
            name: StoredLevel(
                place.shape,
                _chunk(level, place),
                _ratio(found.levels[name][0], first),
                place.start,
            )
            for (name, place), (_, level) in zip(places.items(), found.levels.values(), strict=True)
        }
        rungs = ladder(self.path, levels)
        self.scales = {mip: scale for mip, (_, scale) in rungs.items()}
        self._levels = {mip: found.levels[name][1] for mip, (name, _) in rungs.items()}
        self.dtype = finest.dtype
        self._check(found, {name: places[name] for name, _ in rungs.values()})

    def _check(self, found: Found, places: Mapping[str, BoundingBox]) -> None:
        """Refuse mags that differ in dtype; report what the dataset states otherwise."""
        stated = ELEMENTS.get(found.element, found.element)
        if stated and stated != self.dtype.name:
            log.warning(
                "%s: its elementClass is %s; the voxels are %s, which is served.",
                *(self._name, found.element, self.dtype),
            )
        for name, place in places.items():
            level = found.levels[name][1]
            if level.dtype != self.dtype:
                raise SourceError(
                    f"{self._name}: the mag {name} has {level.dtype} voxels, the finest one "
                    f"{self.dtype}."
                )
            if not level.covers(place):
                log.warning(
                    "%s: the layer is at %s to %s (zyx) of the mag %s, which has voxels at %s to "
                    "%s only; the others are 0.",
                    *(self._name, place.start, place.stop, name),
                    *(level.extent().start, level.extent().stop),
                )

    @property
    def _name(self) -> str:
        """Name of the layer in messages."""
        return f"{self.path}#{self.part}" if self.part else self.path

    def _state_of(self, path: str) -> Stamp:
        """Watch a file that is read next, and return the state that was recorded."""
        self._watch(path)
        return self._stamps.get(path, stamp_of(path))

    @override
    def changed(self) -> str | None:
        levels = (level.changed() for level in self._levels.values())
        return super().changed() or next(filter(None, levels), None)

    @override
    def all_files(self) -> Iterable[str]:
        levels = (level.all_files() for level in self._levels.values())
        return chain(self._read_at_first, chain.from_iterable(levels))

    @override
    def state(self) -> str | None:
        # What changes behind a URL would go unnoticed.
        is_remote = any(level.is_remote for level in self._levels.values())
        return None if is_remote else super().state()

    def _placed(self, mip: int, box: BoundingBox) -> BoundingBox:
        """Return a box as the mag of a mip counts its voxels."""
        return box.shift(self.scales[mip].origin)

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        return self._levels[mip].reads_at_once(self._placed(mip, box))

    @override
    def _read_inside(self, mip: int, box: BoundingBox) -> Voxels:
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(mip, box, voxels)
        return voxels

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: Voxels) -> None:
        self._levels[mip].read_into(self._placed(mip, box), voxels)

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        level, scale = self._levels[mip], self.scales[mip]
        return level.stored_as() if _begins_at_a_chunk(level, scale.origin) else ()

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        scale = self.scales[mip]
        box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
        return self._levels[mip].read_encoded(self._placed(mip, box), way)


ELEMENTS = {"float": "float32", "uint24": "uint8"}
"""dtypes of an ``elementClass`` with another name; uint24 is three channels."""


def _at(box: BoundingBox, steps: Zyx) -> BoundingBox:
    """Return the voxels of a mag that a box of voxels of mag 1 touches."""
    return BoundingBox(
        zyx(a // step for a, step in zip(box.start, steps, strict=True)),
        zyx(ceil_div(b, step) for b, step in zip(box.stop, steps, strict=True)),
    )


def _ratio(steps: Zyx, first: Zyx) -> VoxelSize:
    z, y, x = (step / least for step, least in zip(steps, first, strict=True))
    return z, y, x


def _begins_at_a_chunk(level: Level, start: Zyx) -> bool:
    """Return whether a volume begins with a chunk of its mag."""
    axes = zip(start, level.phase, level.chunk, strict=True)
    return not any((at - first) % side for at, first, side in axes)


def _chunk(level: Level, place: BoundingBox) -> Zyx:
    """Return what to decode together: a chunk, or several if the volume begins inside one."""
    if _begins_at_a_chunk(level, place.start):
        return level.chunk
    return zyx(side * ceil_div(APART, side) for side in level.chunk)
