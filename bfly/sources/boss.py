"""BOSS tile grid: a ``.json`` of the BOSS ingest client, with the list of its tiles.

The part ``ingest_job`` follows the ingest client's schema; ``tiles`` is added to it.
"""

from __future__ import annotations

import os
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import from_json
from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import Scale, ceil_div, zyx
from bfly.sources.shared.images import has_colours, header, stored_floats
from bfly.sources.shared.missing_sections import section_gaps
from bfly.sources.shared.tile_files import TileGrid
from bfly.storage.files import regular
from bfly.storage.limits import FILES, check_number, parsed_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from bfly.geometry import Zyx

__all__ = ["BossGrid"]

GLANCE = 1 << 20
"""Bytes read at both ends of a JSON file to recognise it; tile lists may be far longer."""

SOUGHT = 100_000
"""Most tiles that are checked to find an existing one, which has the dtype."""

WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "text"}


class BossGrid(TileGrid):
    """A ``.json`` with ``ingest_job`` and ``tiles``.

    ``ingest_job`` has ``tile_size`` (voxels), ``extent`` ([from, to] along each axis) and
    optionally ``tile_origin`` (z, row, column; 0 by default), the number of the tile at the
    extent's start. A tile is ``{location, z, row, column}``, or ``{location, z}`` for all tiles
    of that z, with ``{row}`` and ``{column}`` in its location. Locations are paths, absolute or
    relative to the folder of the ``.json``. The dtype is that of the first existing tile.
    Colours follow the rule of `bfly.sources.shared.images`.
    """

    name = "boss"
    marks = ()
    endings: ClassVar[Mapping[str, str]] = {"json": "a BOSS tile grid"}

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the JSON object has both keys."""
        if not path.endswith(".json"):
            return False
        try:
            with regular(path) as file:
                head = from_json(file.read(GLANCE), allow_partial=True)
                file.seek(max(0, os.fstat(file.fileno()).st_size - GLANCE))
                tail = file.read(GLANCE)
        except (OSError, ValueError):
            return False
        if not isinstance(head, dict) or "tiles" not in head:
            return False
        return "ingest_job" in head or b'"ingest_job"' in tail

    def _open(self) -> None:
        description = self._json()
        job = _part(description, "ingest_job", dict, self.path)
        where = f"{self.path}: ingest_job"
        extent = _part(job, "extent", dict, where)
        size = _part(job, "tile_size", dict, where)
        origin = _part(job, "tile_origin", dict, where) if "tile_origin" in job else {}
        tile = zyx(_whole(size, axis, f"{where}.tile_size", least=1) for axis in "zyx")
        shape = zyx(_length(extent, axis, f"{where}.extent") for axis in "zyx")
        self._origin = zyx(
            _whole({axis: 0, **origin}, axis, f"{where}.tile_origin")
            for axis in ("z", "row", "column")
        )
        self.scales = {0: Scale(shape, tile)}
        self._counts = zyx(map(ceil_div, shape, tile))
        self._tiles: dict[int, str] = {}
        self._sections: dict[int, str] = {}
        for number, entry in enumerate(_part(description, "tiles", list, self.path)):
            self._add(entry, f"{self.path}: tiles[{number}]")
        filled = len(self._sections) * self._counts[1] * self._counts[2]
        check_number(self.path, filled, FILES, "tiles for the patterns in its list")
        self.dtype = self._first_dtype()

    def _json(self) -> dict[str, Any]:
        data = self._read_document(self.path)
        if data is None:
            raise SourceError(f"{self.path} does not exist.")
        description = parsed_json(data, self.path)
        if not isinstance(description, dict):
            raise SourceError(f"{self.path} has to be an object with ingest_job and tiles.")
        return description

    def _add(self, entry: Any, where: str) -> None:
        """Add one entry of the list of tiles."""
        location = _part(entry, "location", str, where)
        if "://" in location or "\0" in location:
            raise SourceError(f"{where}: location is {location!r}; allowed is the path of a file.")
        z = _whole(entry, "z", where)
        if "{row}" in location and "{column}" in location:
            self._sections[z - self._origin[0]] = location
            return
        row, column = _whole(entry, "row", where), _whole(entry, "column", where)
        index = zyx(a - b for a, b in zip((z, row, column), self._origin, strict=True))
        if all(0 <= i < count for i, count in zip(index, self._counts, strict=True)):
            self._tiles[self._number(index)] = location

    def _number(self, index: Zyx) -> int:
        """Return the index of a tile in C order: an integer is the smallest dictionary key."""
        (z, row, column), (_, rows, columns) = index, self._counts
        return (z * rows + row) * columns + column

    def _tile_path(self, mip: int, index: Zyx) -> str | None:
        location = self._tiles.get(self._number(index))
        if location is None:
            section = self._sections.get(index[0])
            if section is None:
                return None
            location = self._filled(section, index[1], index[2])
        return os.path.join(os.path.dirname(self.path), location)

    def _filled(self, location: str, row: int, column: int) -> str:
        _, first_row, first_column = self._origin
        location = location.replace("{row}", str(row + first_row))
        return location.replace("{column}", str(column + first_column))

    def _locations(self) -> Iterator[str]:
        """Yield the locations of all tiles in the list."""
        _, rows, columns = self._counts
        yield from self._tiles.values()
        for location in self._sections.values():
            for row in range(rows):
                for column in range(columns):
                    yield self._filled(location, row, column)

    @override
    def all_files(self) -> Iterable[str]:
        return chain([self.path], self.listed_files())

    @override
    def listed_files(self) -> Iterable[str]:
        folder = os.path.dirname(self.path)
        return (os.path.join(folder, location) for location in self._locations())

    @override
    def gaps(self) -> Iterable[str]:
        depth, rows, columns = self._counts
        there = {number // (rows * columns) for number in self._tiles} | self._sections.keys()
        return section_gaps(there, depth, self.scales[0].chunk[0])

    def _first_dtype(self) -> np.dtype[Any]:
        for location in islice(self._locations(), SOUGHT):
            path = os.path.join(os.path.dirname(self.path), location)
            if os.path.exists(path) and (data := self._read_file(path)) is not None:
                labels, limit = self._kind == "segmentation", self.files.max_chunk
                self._has_colours = has_colours(data, path, limit)
                self._stored_dtype = stored_floats(data, path, limit)
                return header(data, path, labels=labels, limit=limit)[1]
        raise SourceError(f"{self.path} names no tile that is there.")


def _part(values: Any, key: str, kind: type, where: str) -> Any:
    """Return `values[key]`, which must have the Python type `kind`."""
    if not isinstance(values, dict) or key not in values:
        raise SourceError(f"{where} has no {key}.")
    if not isinstance(values[key], kind):
        raise SourceError(f"{where}: {key} is {values[key]!r:.50}; it has to be {WORDS[kind]}.")
    return values[key]


def _whole(values: dict[str, Any], key: str, where: str, least: int | None = None) -> int:
    """Return `values[key]`, which must be a whole number, at least `least`."""
    if key not in values:
        raise SourceError(f"{where} has no {key}.")
    value = values[key]
    if type(value) is not int or (least is not None and value < least):
        allowed = "whole numbers" if least is None else f"whole numbers from {least}"
        raise SourceError(f"{where}: {key} is {value!r:.50}; allowed are {allowed}.")
    return value


def _length(extent: dict[str, Any], axis: str, where: str) -> int:
    """Return the length of the extent along an axis: to - from."""
    match _part(extent, axis, list, where):
        case [int(start), int(stop)] if start < stop:
            return stop - start
        case other:
            raise SourceError(
                f"{where}: {axis} is {other!r:.50}; it has to be "
                "[from, to], two whole numbers, to the larger."
            )
