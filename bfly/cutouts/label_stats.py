"""What is found among voxels of any number: they are seen part by part, and never all at once."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import Absent, TooLarge
from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.cutouts.assemble import Assembler
    from bfly.cutouts.channels import Channels
    from bfly.cutouts.plan import Slices
    from bfly.queries.data import DataQuery
    from bfly.queries.label import LabelQuery

    Values = np.ndarray[Any, np.dtype[Any]]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["LabelStats", "box_of", "check_work", "highest", "unique"]


MOST_VALUES = 1 << 20
"""Values that are listed in one answer. They take some 200 bytes each until they are text."""

SOME = 1 << 20
"""Values of tiles that are gathered before they are merged with those that are known."""

MOST = 16 << 30
"""Bytes of stored voxels that one request may have read: a minute's work for a core or two."""


class LabelStats:
    """Finds facts about requests that need not know their source, nor fit ``max-cutout-size``.

    Parameters
    ----------
    channels : Channels
        Tell a request what its source is like.
    tiles : Assembler
        Show it its voxels.
    """

    def __init__(self, channels: Channels, tiles: Assembler) -> None:
        self._channels = channels
        self._tiles = tiles

    def answer(self, l_query: LabelQuery) -> str:
        """Answer a request for facts about labels, as JSON text.

        Raises
        ------
        BadRequest
            The channel is an image.
        Absent
            As `box`.
        TooLarge
            More voxels than `MOST` bytes would have to be read, or there are more than
            `MOST_VALUES` labels to be listed.
        """
        self._channels.on_current_files(l_query, check_work)
        find: dict[str, Callable[[LabelQuery], Any]] = {
            "unique": self._listed,
            "highest": self.highest,
            "box": self.box,
        }
        l_query.found = find[l_query.fact](l_query)
        return l_query.dump

    def unique(self, d_query: DataQuery) -> set[Any]:
        """Find the values that occur, as Python numbers."""
        found = self._channels.on_current_files(d_query, partial(unique, self._tiles))
        return set(found.tolist())

    def _listed(self, d_query: DataQuery) -> set[Any]:
        found = self._channels.on_current_files(d_query, partial(unique, self._tiles))
        if len(found) > MOST_VALUES:
            raise TooLarge(
                f"There are {len(found)} values at resolution {d_query.resolution}; at most "
                f"{MOST_VALUES} are listed. Ask for a smaller box."
            )
        return set(found.tolist())

    def highest(self, d_query: DataQuery) -> int:
        """Find the highest label, as `highest` does."""
        return self._channels.on_current_files(d_query, partial(highest, self._tiles))

    def box(self, l_query: LabelQuery) -> BoundingBox:
        """Find the smallest box around a label.

        Raises
        ------
        Absent
            The label is not there.
        """
        look = partial(box_of, self._tiles, label=l_query.label)
        found = self._channels.on_current_files(l_query, look)
        if found is None:
            raise Absent(f"There is no label {l_query.label} at resolution {l_query.resolution}.")
        return found


def check_work(d_query: DataQuery) -> None:
    """Raise `TooLarge` if a request would have to read more voxels than `MOST` bytes."""
    level = d_query.volume.level(d_query.resolution)
    inside = d_query.box.relative_to(level.origin) & level.whole
    size = level.finer(inside).size * d_query.dtype.itemsize
    if size > MOST:
        raise TooLarge(
            f"At resolution {d_query.resolution}, {size} bytes of voxels would have to be read; "
            f"at most {MOST} are. Ask for a smaller box, or at a coarser mip that is stored."
        )


def unique(tiles: Assembler, d_query: DataQuery) -> Values:
    """Find the values that occur in a request; 0 is one if a part lies outside the volume.

    Returns
    -------
    numpy.ndarray
        One axis, ascending, of the dtype of the voxels.
    """
    found = [np.empty(0, d_query.dtype)]
    inside = fresh = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal inside, fresh
        values = _values(voxels)
        with lock:
            found.append(values)
            inside, fresh = inside + voxels.size, fresh + len(values)
            if fresh > max(SOME, len(found[0])):
                found[:], fresh = [np.unique(np.concatenate(found))], 0

    tiles.show(d_query, look)
    if inside < d_query.box.size:
        found.append(np.zeros(1, d_query.dtype))
    return np.unique(np.concatenate(found))


def highest(tiles: Assembler, d_query: DataQuery) -> int:
    """Find the highest label in a request; 0 if all of it lies outside the volume."""
    found = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal found
        value = int(voxels.max())
        with lock:
            found = max(found, value)

    tiles.show(d_query, look)
    return found


def box_of(tiles: Assembler, d_query: DataQuery, label: int) -> BoundingBox | None:
    """Find the smallest box around a label in a request; None where it does not occur."""
    found: BoundingBox | None = None
    lock = threading.Lock()

    def look(voxels: Voxels, place: Slices) -> None:
        nonlocal found
        part = _box_around(voxels == label)
        if part is None:
            return
        part = part.shift(zyx(along.start for along in place)).shift(d_query.box.start)
        with lock:
            found = part if found is None else found.joined(part)

    tiles.show(d_query, look)
    return found


def _values(voxels: Voxels) -> Values:
    """Find the values that occur; labels come in runs, of which one voxel each is enough."""
    flat = voxels.ravel()
    starts = np.empty(flat.size, bool)
    starts[0] = True
    np.not_equal(flat[1:], flat[:-1], out=starts[1:])
    return np.unique(flat[starts])


def _box_around(hit: np.ndarray[Any, np.dtype[np.bool_]]) -> BoundingBox | None:
    """Give the smallest box around what is true."""
    if not hit.any():
        return None
    sections = hit.any(axis=(1, 2))
    rows, columns = hit.any(axis=(0, 2)), hit.any(axis=(0, 1))
    ends = [np.flatnonzero(axis)[[0, -1]].tolist() for axis in (sections, rows, columns)]
    return BoundingBox(zyx(first for first, _ in ends), zyx(last + 1 for _, last in ends))
