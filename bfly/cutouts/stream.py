"""Streaming of large cutouts, slab by slab, in bounded memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.concurrency.admission import take
from bfly.cutouts.plan import check_size
from bfly.cutouts.streamed import Stream
from bfly.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bfly.concurrency.budget import Budget
    from bfly.cutouts.cutouts import Cutouts
    from bfly.cutouts.request import CutoutRequest
    from bfly.cutouts.streamed import Part
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["SLAB", "WHOLE", "CutoutStreams", "slabs"]

WHOLE = 32 << 20
"""Bytes of voxels up to which a cutout is assembled as a whole; its answer may be cached."""

SLAB = 128 << 20
"""Most bytes of voxels in memory for a cutout that is sent in parts. Chunks that are deeper than a
slab are decoded again for each slab: larger slabs do so less often."""

FULL = 4
"""Cutouts at once that get slabs of `SLAB`; as many more get half of it. All others get the
smallest slabs, so that slow or stalled clients hold little memory."""

HALVINGS = 5
"""Most halvings of a slab: slabs below 4 MiB are not worth their reads."""

STREAMS = 8
"""Number of the largest slabs that fit into the memory for streams."""


class CutoutStreams:
    """Streams cutouts.

    Parameters
    ----------
    cutouts : Cutouts
        Reads the voxels.
    budget : Budget
        The memory of all streams together.
    limit : int
        Bytes of the largest cutout.
    is_current : callable
        Returns whether the files of a region are unchanged since its volume was opened.
    """

    def __init__(
        self, cutouts: Cutouts, budget: Budget, limit: int, is_current: Callable[[Region], bool]
    ) -> None:
        self._cutouts = cutouts
        self._budget = budget
        self._limit = limit
        self._is_current = is_current
        self._lock = threading.Lock()
        self._under_way = 0

    def streamed(self, request: CutoutRequest) -> Stream | None:
        """Return an answer that is read while it is sent.

        Parameters
        ----------
        request : CutoutRequest
            The request.

        Returns
        -------
        Stream or None
            None if the cutout is small, or its format is not written in parts.

        Raises
        ------
        TooLarge
            The voxels take more than ``max-cutout-size``.
        BadRequest
            The cutout is too large for its format.
        """
        size, encoder = request.nbytes, request.encoder
        if size <= WHOLE:
            return None
        region = request.region
        check_size(request.shape, region.level.mip, size, self._limit)
        shown = {"view": request.view, "kind": request.shown_kind}
        encoder.check(request.arranged_shape, region.dtype, **shown)
        if not encoder.streams:
            return None
        parts = partial(self._parts, request)
        whole = size if encoder.verbatim else None
        return Stream(parts=parts, media_type=request.mime_type, size=whole, group=request.path)

    def _parts(self, request: CutoutRequest, start: int) -> Iterator[Part]:
        """Encode the answer from a byte offset on."""
        # Take the memory first: only here can the work still be put off.
        take(self._budget, request.memory_in_parts(self._most()))
        voxels, shape = self._voxels(request, start), request.arranged_shape
        view, kind = request.view, request.shown_kind
        return request.encoder.encode_parts(voxels, shape, view=view, kind=kind)

    def _voxels(self, request: CutoutRequest, start: int) -> Iterator[Voxels]:
        """Yield slabs, all in the same memory, and skip bytes at the start."""
        dtype = request.region.dtype
        memory: Voxels = np.empty(0, dtype)
        with self._room() as most:
            order = slabs(request, most)
            for slab in reversed([*order]) if request.encoder.upwards else order:
                if slab.nbytes <= start:
                    start -= slab.nbytes
                    continue
                region = slab.region
                if not self._is_current(region):
                    # Never send parts of two states of a file as one cutout.
                    raise SourceChanged(f"{request.path} changed on disk while it was sent.")
                shape, size = region.box.shape, region.box.size
                if memory.size < size:
                    memory = self._cutouts.buffers.empty((1, 1, size), dtype).reshape(-1)
                voxels = memory[:size].reshape(shape)
                self._cutouts.fill(region, voxels)
                arranged = slab.arranged(slab.spread(voxels))
                yield arranged if not start else arranged.reshape(-1).view(np.uint8)[start:]
                start = 0

    @contextmanager
    def _room(self) -> Iterator[int]:
        """Count one more cutout as under way, and yield the size of its slabs in bytes."""
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


def slabs(request: CutoutRequest, most: int) -> Iterator[CutoutRequest]:
    """Divide a request into parts, in the order of the answer.

    A part has as many sections as fit into memory, or rows of a section that does not fit. Parts
    end at chunk borders where possible.

    Parameters
    ----------
    request : CutoutRequest
        The request.
    most : int
        Bytes of the largest part; only a single row may be larger.
    """
    yield from _divided(request, request.axes, most)


def _divided(request: CutoutRequest, axes: Sequence[int], most: int) -> Iterator[CutoutRequest]:
    axis, *inner = axes
    count = request.shape[axis]
    room = most // (request.nbytes // count)
    if not room and len(inner) > 1:
        for place in range(count):
            yield from _divided(request.slab(axis, place, 1), inner, most)
        return
    step = _step(request.chunk[axis], max(1, room))
    place = 0
    while place < count:
        # The first part ends at a chunk border, so that the others start at one.
        stop = min(count, place + step - (request.start[axis] + place) % step)
        yield request.slab(axis, place, stop - place)
        place = stop


def _step(chunk: int, room: int) -> int:
    """Return how many sections to take at once: whole chunks, or an even part of one."""
    if room >= chunk:
        return room // chunk * chunk
    while chunk > room:
        chunk = (chunk + 1) // 2
    return chunk
