"""Tiles for map-like viewers: squares of a section in all three planes, and Deep Zoom.

Deep Zoom counts levels from an image of one pixel up to the whole section:
https://learn.microsoft.com/previous-versions/windows/silverlight/dotnet-windows-silverlight/cc645077(v=vs.95)
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.encoders.contrast import stretched
from bfly.errors import Absent, BadRequest
from bfly.geometry import BoundingBox, zyx
from bfly.protocols.protocol import Protocol, by_token, channel_words
from bfly.queries.cutout import MOST_HALVINGS
from bfly.queries.info import InfoQuery
from bfly.queries.slice import PLANES, SliceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bfly.queries.data import DataQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["DeepZoomQuery", "SquareQuery", "Tiles"]

SIDE = 512
"""Pixels along a side of a tile."""

FORMATS = ("png", "jpg", "webp")

_N = "([0-9]{1,18})"
_PICTURE = f"({'|'.join(FORMATS)})"
_TILE = re.compile(rf"(?:(xy|xz|yz)/)?{_N}/(-?[0-9]{{1,18}})/{_N}/{_N}\.{_PICTURE}")
_IMAGE = rf"(-?[0-9]{{1,18}})(\.rgb)?(?:\.{_PICTURE})?"
"""Name of a Deep Zoom image; its tiles are in the folder of that name with ``_files`` after it."""

# Neuroglancer (2.41) writes two slashes after the level.
_DEEP = re.compile(rf"{_IMAGE}_files/{_N}//?{_N}_{_N}\.{_PICTURE}")
_DESCRIPTOR = re.compile(rf"{_IMAGE}\.dzi")


class SquareQuery(SliceQuery):
    """A request for a tile of a section, cropped to the volume.

    Parameters
    ----------
    place : tuple of int
        Section, row and column. The section is in the dataset's coordinates: z at mip 0, or y
        or x in voxels of the mip. Row and column are in tiles from the volume's first voxel.
    level : int, optional
        Deep Zoom level, instead of ``resolution``.
    levels : tuple of float, optional
        Voxels of an image that are shown as black and as white; the full range of the dtype if
        None.
    **keywords
        Keywords of `SliceQuery`.
    """

    def __init__(
        self,
        place: tuple[int, int, int],
        level: int | None = None,
        levels: tuple[float, float] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self._place = place
        self._deep = level
        self._levels = levels
        self.plain = self.plain and levels is None

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source, and compute the box of the tile.

        Raises
        ------
        Absent
            There is no such tile.
        """
        super().update_source(keywords)
        if self._deep is not None:
            self.resolution = _top(self.volume.level(0).whole) - self._deep
            if self.resolution < 0:
                raise Absent(f"There is no level {self._deep} in a volume of this size.")
        whole = self.whole
        start, shape = [0, 0, 0], [0, 0, 0]
        sizes = 1, SIDE, SIDE
        for axis, count, size in zip(PLANES[self.plane], self._place, sizes, strict=True):
            first = 0 if size == 1 else whole.start[axis]
            start[axis], shape[axis] = first + count * size, size
        box = whole & BoundingBox.of_shape(zyx(shape), zyx(start))
        if not box.size:
            raise Absent(f"There is no tile {self._place} (section, row, column) in {self.plane}.")
        (self.z, self.y, self.x), (self.depth, self.height, self.width) = box.start, box.shape

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Return sections, rows and columns of the plane, an image in its levels."""
        pixels = super().arranged(voxels)
        if self._levels is None or self.volume.kind != "image":
            return pixels
        return stretched(pixels, *self._levels)


class DeepZoomQuery(InfoQuery):
    """A request for the descriptor of a section as a Deep Zoom image."""

    mime_type = "application/xml"
    picture = "png"

    @property
    def dump(self) -> str:
        """The descriptor."""
        _, height, width = self.volume.level(0).whole.shape
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" '
            f'Format="{self.picture}" Overlap="0" TileSize="{SIDE}">'
            f'<Size Width="{width}" Height="{height}"/></Image>\n'
        )


class Tiles(Protocol):
    """``/tiles/{address}/…``."""

    prefixes: ClassVar[tuple[str, ...]] = ("tiles",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        channel, rest = by_token(self.config, path)
        words = channel_words(channel)
        if "view" in parameters:
            words["view"] = parameters["view"]
        levels = _levels(parameters["range"]) if parameters.get("range") else None
        if tile := _TILE.fullmatch(rest):
            plane, mip, section, row, column, picture = tile.groups()
            if int(mip) <= MOST_HALVINGS:
                words |= {"resolution": int(mip), "format": picture}
                place = int(section), int(row), int(column)
                return SquareQuery(place, plane=plane or "xy", levels=levels, **words)
        if tile := _DEEP.fullmatch(rest):
            section, rgb, _, level, column, row, picture = tile.groups()
            words |= {"unmoved": True, "format": picture} | ({"view": "rgb"} if rgb else {})
            place = int(section), int(row), int(column)
            return SquareQuery(place, int(level), levels, **words)
        if descriptor := _DESCRIPTOR.fullmatch(rest):
            query = DeepZoomQuery(unmoved=True, **channel_words(channel))
            query.picture = descriptor[3] or "png"
            return query
        raise Absent(
            f"There is no {rest} in tiles, only [xy|xz|yz/]MIP/SECTION/ROW/COLUMN.FORMAT, "
            "Z[.rgb][.FORMAT].dzi and …_files/LEVEL/COLUMN_ROW.FORMAT, with a FORMAT of "
            f"{list(FORMATS)}."
        )


def _top(whole: BoundingBox) -> int:
    """Return the Deep Zoom level of mip 0."""
    return (max(whole.shape[1:]) - 1).bit_length()


def _levels(text: str) -> tuple[float, float]:
    """Parse ``LOW,HIGH``."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low, high = 0, 0
    if not (low < high and math.isfinite(high - low)):
        raise BadRequest(f"The range {text} is not two numbers LOW,HIGH, the first one smaller.")
    return low, high
