"""Large cutouts, read slab by slab while they are sent, in bounded memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.concurrency.admission import take
from bfly.cutouts.streamed import Stream
from bfly.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bfly.concurrency.budget import Budget
    from bfly.cutouts.assemble import Assembler
    from bfly.cutouts.channels import Channels
    from bfly.cutouts.streamed import Part
    from bfly.queries.data import DataQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["SLAB", "WHOLE", "CutoutStreams", "slabs"]

WHOLE = 32 << 20
"""Bytes of voxels up to which a cutout is put together as a whole, and then kept as an answer."""

SLAB = 128 << 20
"""The most bytes of voxels that are held of a cutout that is sent in parts. Chunks that are deeper
than a slab are decoded for each slab anew: the larger it is, the less often."""

FULL = 4
"""So many cutouts at once are sent in slabs of this size, as many more in slabs of half of it. All
others are sent in the smallest: clients that are slow, or that take nothing, must hold little."""

HALVINGS = 5
"""How often a slab is halved at most: less than 4 MiB of it are not worth their reads."""

STREAMS = 8
"""So many of the largest slabs fit into the memory for streams."""


class CutoutStreams:
    """Streams cutouts.

    Parameters
    ----------
    channels : Channels
        Tell a request what its source is like.
    tiles : Assembler
        Read its voxels.
    budget : Budget
        The memory of all streams together.
    """

    def __init__(self, channels: Channels, tiles: Assembler, budget: Budget) -> None:
        self._channels = channels
        self._tiles = tiles
        self._budget = budget
        self._lock = threading.Lock()
        self._under_way = 0

    def streamed(self, d_query: DataQuery) -> Stream | None:
        """Give an answer that is read while it is sent.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.

        Returns
        -------
        Stream or None
            None where the cutout is small, or its format is not written in parts.

        Raises
        ------
        TooLarge
            The voxels take more than ``max-cutout-size``.
        BadRequest
            The cutout is large, and its format does not hold it.
        """
        size, encoder = d_query.nbytes, d_query.encoder
        if size <= WHOLE:
            return None
        self._tiles.check_size(d_query)
        shown = {"view": d_query.view, "kind": d_query.shown_kind}
        encoder.check(d_query.arranged_shape, d_query.dtype, **shown)
        if not encoder.streams:
            return None
        parts = partial(self._parts, d_query)
        whole = size if encoder.verbatim else None
        return Stream(parts=parts, media_type=d_query.mime_type, size=whole, group=d_query.path)

    def _parts(self, d_query: DataQuery, start: int) -> Iterator[Part]:
        """Write the answer from a byte on."""
        # Before anything is begun: here the work may still be put off.
        take(self._budget, d_query.memory_in_parts(self._most()))
        voxels, shape = self._voxels(d_query, start), d_query.arranged_shape
        view, kind = d_query.view, d_query.shown_kind
        return d_query.encoder.encode_parts(voxels, shape, view=view, kind=kind)

    def _voxels(self, d_query: DataQuery, start: int) -> Iterator[Voxels]:
        """Read slabs, each into the memory of the one before, and cut off bytes at the start."""
        memory: Voxels = np.empty(0, d_query.dtype)
        with self._room() as most:
            order = slabs(d_query, most)
            for slab in reversed([*order]) if d_query.encoder.upwards else order:
                if slab.nbytes <= start:
                    start -= slab.nbytes
                    continue
                self._check_current(d_query)
                shape, size = slab.box.shape, slab.box.size
                if memory.size < size:
                    memory = self._tiles.blocks.empty((1, 1, size), d_query.dtype).reshape(-1)
                voxels = memory[:size].reshape(shape)
                self._tiles.fill(slab, voxels)
                arranged = slab.arranged(slab.spread(voxels))
                yield arranged if not start else arranged.reshape(-1).view(np.uint8)[start:]
                start = 0

    @contextmanager
    def _room(self) -> Iterator[int]:
        """Return how large the slabs of one more cutout may be, which is under way meanwhile."""
        with self._lock:
            most = self._most()
            self._under_way += 1
        try:
            yield most
        finally:
            with self._lock:
                self._under_way -= 1

    def _most(self) -> int:
        halvings = self._under_way // FULL
        return min(SLAB, self._budget.total // STREAMS) >> (halvings if halvings < 2 else HALVINGS)

    def _check_current(self, d_query: DataQuery) -> None:
        """Never send parts of two states of a file as one cutout."""
        if self._channels.keywords(d_query)["volume"] is not d_query.volume:
            raise SourceChanged(f"{d_query.path} changed on disk while it was sent.")


def slabs(d_query: DataQuery, most: int) -> Iterator[DataQuery]:
    """Divide a request into parts that follow one another in the answer.

    They are sections, or rows of one section if that is too large, as many as there is memory
    for, and divided where chunks are where that is possible.

    Parameters
    ----------
    d_query : DataQuery
        It knows its source.
    most : int
        Bytes of the largest part; only one row may be larger.
    """
    yield from _divided(d_query, d_query.axes, most)


def _divided(d_query: DataQuery, axes: Sequence[int], most: int) -> Iterator[DataQuery]:
    axis, *inner = axes
    count = d_query.shape[axis]
    room = most // (d_query.nbytes // count)
    if not room and len(inner) > 1:
        for place in range(count):
            yield from _divided(d_query.slab(axis, place, 1), inner, most)
        return
    step = _step(d_query.chunk[axis], max(1, room))
    place = 0
    while place < count:
        # Up to the next chunk at first, and then from chunk to chunk.
        stop = min(count, place + step - (d_query.start[axis] + place) % step)
        yield d_query.slab(axis, place, stop - place)
        place = stop


def _step(chunk: int, room: int) -> int:
    """Choose how many sections to take at once: whole chunks, or an even part of one."""
    if room >= chunk:
        return room // chunk * chunk
    while chunk > room:
        chunk = (chunk + 1) // 2
    return chunk
