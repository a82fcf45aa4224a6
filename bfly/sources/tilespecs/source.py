"""TileSpecs: tiles under affine transforms, as render and rh_renderer describe them in JSON."""

from __future__ import annotations

import os
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic_core import from_json
from typing_extensions import override

from bfly.concurrency.workers import SingleFlight
from bfly.downsample import downsample
from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale, ceil_div, zyx
from bfly.sources.shared.images import decode, has_colours, header, stored_floats
from bfly.sources.shared.missing_sections import section_gaps
from bfly.sources.source import Datasource
from bfly.sources.tilespecs.affine import at_mip, paint
from bfly.sources.tilespecs.tile import Tile
from bfly.storage.files import regular
from bfly.storage.limits import METADATA, parsed_json
from bfly.storage.lru_cache import LruCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["TileSpecs"]

GLANCE = 1 << 20
"""Bytes of a JSON file that are read to recognise it."""

SIDE = 1024
"""Pixels that are rendered at once, along y and x."""

KEPT = 128 << 20
"""Bytes of decoded images that are cached: the next chunks to render use the same ones."""

SMALLEST = 64
"""Most pixels along y and x at the coarsest mip that is rendered."""


class TileSpecs(Datasource):
    """A ``.json`` with a list of tiles, of one section or of many.

    A tile has ``z`` (render) or ``layer`` (rh_renderer), ``width``, ``height``, ``transforms`` and
    ``mipmapLevels`` with the files of its image, and optionally of a mask. Where tiles overlap,
    the later one of the list is visible. Every mip is rendered from tile images of about its
    size: from a level with a file, or from the mean (for labels the mode) of a finer one.
    """

    name = "tilespecs"
    marks = ()
    endings: ClassVar[Mapping[str, str]] = {"json": "a list of TileSpecs"}

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the first object in the list has a tile's keys."""
        if not path.endswith(".json"):
            return False
        try:
            with regular(path) as file:
                tiles = from_json(file.read(GLANCE), allow_partial=True)
        except (OSError, ValueError):
            return False
        first = tiles[0] if isinstance(tiles, list) and tiles else None
        return isinstance(first, dict) and {"mipmapLevels", "transforms"} <= first.keys()

    def _open(self) -> None:
        tiles = self._tiles()
        sections: dict[int, list[Tile]] = defaultdict(list)
        for tile in tiles:
            sections[tile.z].append(tile)
        self._sections = {z: _Section(each) for z, each in sections.items()}
        first = tiles[0].pictures[0].image
        labels = self._kind == "segmentation"
        data, limit = self._read_file(first), self.files.max_chunk
        self.dtype = header(data, first, labels=labels, limit=limit)[1]
        self._has_colours = has_colours(data, first, limit)
        self._stored_dtype = stored_floats(data, first, limit)
        bounds = np.array([tile.bounds for tile in tiles])
        low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
        self._start = zyx((min(sections), *low))
        volume = BoundingBox(self._start, zyx((max(sections) + 1, *high)))
        self.scales = {0: _scale(volume, 0)}
        while max(self.scales[len(self.scales) - 1].shape[1:]) > SMALLEST:
            self.scales[len(self.scales)] = _scale(volume, len(self.scales))
        self._kept = LruCache(KEPT)
        self._reading: SingleFlight[NDArray[Any]] = SingleFlight()

    @override
    def all_files(self) -> Iterable[str]:
        return chain([self.path], self.listed_files())

    @override
    def listed_files(self) -> Iterable[str]:
        for section in self._sections.values():
            for tile in section.tiles:
                for picture in tile.pictures.values():
                    yield from filter(None, (picture.image, picture.mask))

    @override
    def gaps(self) -> Iterable[str]:
        first = self._start[0]
        there = {z - first for z in self._sections}
        return section_gaps(there, self.scales[0].shape[0])

    def _tiles(self) -> list[Tile]:
        entries = parsed_json(self._read_file(self.path, METADATA), self.path)
        if not isinstance(entries, list) or not entries:
            raise SourceError(f"{self.path} has to be a list of tiles.")
        tiles, folder = [], os.path.dirname(self.path)
        for number, entry in enumerate(entries):
            try:
                tiles.append(Tile.parse(entry, folder))
            except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
                raise SourceError(f"{self.path}: tile {number} of the list: {error}.") from error
        return tiles

    def _read_inside(self, mip: int, box: BoundingBox) -> NDArray[Any]:
        return self._rendered(mip, box, self.kind)

    @override
    def read_to_judge(self, mip: int, box: BoundingBox) -> NDArray[Any]:
        return self._rendered(mip, box, "segmentation")

    def _rendered(self, mip: int, box: BoundingBox, kind: str) -> NDArray[Any]:
        """Render a box inside the mip as voxels of a kind."""
        result = np.zeros(box.shape, self.dtype)
        place = box.shift(self.scales[mip].origin)
        _, top, left = place.start
        for section, z in zip(result, range(place.start[0], place.stop[0]), strict=True):
            for tile in self._sections[z].touching(place, mip) if z in self._sections else ():
                self._paint(section, tile, mip, (top, left), kind)
        return result

    def _paint(
        self, section: NDArray[Any], tile: Tile, mip: int, start: tuple[int, int], kind: str
    ) -> None:
        """Paint a tile into a part of its section that begins at `start` (y, x), of the mip."""
        size = 1 << mip
        # The part of the section that the tile can cover.
        low = [max(0, edge // size - at) for edge, at in zip(tile.bounds[:2], start, strict=True)]
        high = [ceil_div(edge, size) - at for edge, at in zip(tile.bounds[2:], start, strict=True)]
        part = section[low[0] : max(0, high[0]), low[1] : max(0, high[1])]
        if not part.size:
            return
        level = tile.level_at(mip)
        shift = np.array([[1, 0, start[1] + low[1]], [0, 1, start[0] + low[0]], [0, 0, 1]])
        to_image = np.linalg.inv(tile.matrix @ at_mip(level)) @ at_mip(mip) @ shift
        image, mask = self._images(tile, level, kind)
        extent = tile.height / (1 << level), tile.width / (1 << level)
        paint(part, image, to_image, extent, nearest=kind == "segmentation", mask=mask)

    def _images(
        self, tile: Tile, level: int, kind: str
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return the image of a tile at a level, and its mask if it has one."""
        stored = tile.stored_at(level)
        picture = tile.pictures[stored]
        by = 1 << (level - stored)
        need = (ceil_div(tile.height, 1 << level), ceil_div(tile.width, 1 << level))
        image = self._image(picture.image, by, need, kind)
        if image.dtype != self.dtype:
            raise SourceError(
                f"{picture.image} holds {image.dtype} voxels, the first tile's are {self.dtype}."
            )
        # A mask is reduced by mode: a mean would show pixels that are mostly hidden.
        mask = self._image(picture.mask, by, need, "segmentation") if picture.mask else None
        return image, mask

    def _image(self, path: str, by: int, need: tuple[int, int], kind: str) -> NDArray[Any]:
        """Return an image file, reduced `by` times, from the cache or read once."""
        key = f"{kind if by > 1 else ''} {by} {path}"

        def read() -> NDArray[Any]:
            labels, limit = self._kind == "segmentation", self.files.max_chunk
            pages = decode(self._read_file(path), path, labels=labels, limit=limit)
            if len(pages) != 1:
                raise SourceError(f"{path} has {len(pages)} pages; a tile is one.")
            image: NDArray[Any]
            (image,) = downsample(pages, (0, 0, 0), (1, by, by), kind) if by > 1 else pages
            # Programs round the sizes of coarser levels up or down.
            if any(abs(has - n) > 1 for has, n in zip(image.shape, need, strict=True)):
                raise SourceError(
                    f"{path} is {' x '.join(map(str, image.shape))} pixels, reduced {by} times; "
                    f"its TileSpec needs {need[0]} x {need[1]}."
                )
            self._kept.set(key, image)
            return image

        image: NDArray[Any] = self._kept.get(key)
        return image if len(image) else self._reading.run(key, read)

    def _read_file(self, path: str, limit: int | None = None) -> bytes:
        """Read a whole file and watch it; raise `SourceError` if it is missing."""
        self._watch(path)
        try:
            return self.files.read_bytes(path, limit or self.files.max_chunk)
        except FileNotFoundError:
            raise SourceError(f"{path} does not exist.") from None


class _Section:
    """Tiles of a section, searched by their bounds."""

    def __init__(self, tiles: list[Tile]) -> None:
        self.tiles = tiles
        self._bounds = np.array([tile.bounds for tile in tiles])

    def touching(self, box: BoundingBox, mip: int) -> list[Tile]:
        """Return the tiles that touch a box (only its y and x, of a mip), in the list's order."""
        size = 1 << mip
        (_, top, left), (_, bottom, right) = box.start, box.stop
        a, b, c, d = self._bounds.T
        touch = (a < bottom * size) & (c > top * size) & (b < right * size) & (d > left * size)
        return [self.tiles[i] for i in np.flatnonzero(touch)]


def _scale(volume: BoundingBox, mip: int) -> Scale:
    """Return a mip of a volume, which is given at mip 0 in the coordinates of its sections."""
    size = 1 << mip
    start = zyx((volume.start[0], volume.start[1] // size, volume.start[2] // size))
    stop = (volume.stop[0], ceil_div(volume.stop[1], size), ceil_div(volume.stop[2], size))
    box = BoundingBox(start, stop)
    return Scale(box.shape, (1, SIDE, SIDE), (1, size, size), start)
