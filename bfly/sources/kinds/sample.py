"""A few sections of a few small boxes, which decide the kind of a channel."""

from __future__ import annotations

import logging
import math
import time
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import Busy, SourceChanged
from bfly.geometry import BoundingBox, ceil_div, zyx
from bfly.sources.kinds.measure import Measure, joined, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.geometry import Scale, Zyx
    from bfly.sources.kinds.kinded import Kinded
    from bfly.sources.kinds.measure import Voxels

__all__ = ["boxes", "mip_to_sample", "sampled"]

log = logging.getLogger(__name__)

SIDE = 96
"""Most voxels of a section along y and x."""

NARROW = 32
"""Voxels of a chunk along y and x below which several chunks make a box."""

SECTIONS = 3
"""Sections that are measured: more only while they hold next to nothing but zeros. They are of
one box, above or beside each other."""

ENOUGH = 256
"""Pairs of neighbours other than 0 that a section has to have in order to count."""

PLACES = (
    *((4, 4, 4), (4, 2, 6), (6, 6, 2), (2, 2, 2), (4, 6, 6)),
    *((4, 1, 4), (4, 7, 4), (4, 4, 1), (4, 4, 7), (1, 4, 4), (7, 4, 4), (2, 6, 3), (6, 2, 5)),
)
"""Middles of the boxes (z, y, x) in eighths of the volume. Each costs a read."""

FIRST = 5
"""Boxes of a source behind a URL, at most: the first ones."""

DEEPEST = 16
"""Most sections of a box, if its chunks have as many."""

CHEAP = 4 << 20
"""Bytes of a chunk above which two boxes are enough, and a coarser stored mip is preferred."""

COARSEST = 2
"""Last mip that is measured: in coarser ones labels are a few voxels wide."""

PATIENCE = 5.0
"""Seconds after which no further box is read: a server that is away is not asked again."""

TOUCHED = 1 << 20
"""Bytes of the small chunks that a box may touch; behind a URL it touches at most four."""


def sampled(source: Kinded, is_remote: bool) -> tuple[Measure, str]:
    """Measure sections near the middle of a source.

    Parameters
    ----------
    source : Kinded
        The source; its boxes are read.
    is_remote : bool
        Whether each chunk is a request to another machine.

    Returns
    -------
    measure : Measure
        Mean of the sections, with no value if nothing but zeros is found.
    error : str
        Reason that boxes could not be read, if none of the sections counts; else empty.

    Raises
    ------
    SourceChanged, Busy
        As `Datasource.read`; the same call may work later. Unreadable boxes raise nothing.
    """
    mip = mip_to_sample(source.scales, source.dtype.itemsize)
    scale, itemsize = source.scales[mip], source.dtype.itemsize
    size = _bytes(scale, itemsize)
    touched = 4 if is_remote else max(4, TOUCHED // size)
    most = 2 if size > CHEAP else FIRST if is_remote else len(PLACES)
    found: list[Measure] = []
    error = ""
    end = time.monotonic() + PATIENCE
    for box in islice(boxes(scale, touched), most):
        try:
            with source.files.room.taking(size):
                voxels = source.read_to_judge(mip, box)
        except (SourceChanged, Busy):
            raise
        except Exception as failure:  # sources of plug-ins may raise anything
            log.info("%s: its kind is decided without the voxels %s: %s", source.path, box, failure)
            error = error or str(failure)
        else:
            found += map(measure, _sections(voxels))
        if sum(map(_counts, found)) >= SECTIONS or time.monotonic() > end:
            break
    enough = list(filter(_counts, found))
    # Sections with little in them are better than none.
    result = joined(enough or found)
    return result, "" if result.values else error


def _sections(voxels: Voxels) -> Iterator[Voxels]:
    """Yield sections of a box, spread along z, or parts of them where it has few.

    If one is empty, those with most in them are taken instead.
    """
    depth, height, _ = voxels.shape
    parts = min(ceil_div(SECTIONS, depth), max(1, height // NARROW))
    chosen = np.unique(np.linspace(0, depth - 1, SECTIONS).astype(int))
    counts = np.count_nonzero(voxels, axis=(1, 2))
    if not counts[chosen].all():
        chosen = np.argsort(counts)[-SECTIONS:]
    for z in chosen:
        yield from np.array_split(voxels[z], parts)


def _counts(one: Measure) -> bool:
    """Return whether a section has enough voxels to decide."""
    return one.pairs >= ENOUGH and not one.is_constant


def mip_to_sample(scales: Mapping[int, Scale], itemsize: int) -> int:
    """Return the stored mip to measure: 0, unless its chunks are large and others are not."""
    mips = [mip for mip in sorted(scales) if mip <= COARSEST]
    sizes = {mip: _bytes(scales[mip], itemsize) for mip in mips}
    cheap = [mip for mip in mips if sizes[mip] <= CHEAP]
    return cheap[0] if cheap else min(mips, key=lambda mip: sizes[mip])


def boxes(scale: Scale, touched: int) -> Iterator[BoundingBox]:
    """Yield different boxes inside a mip, the middle first.

    Parameters
    ----------
    scale : Scale
        The mip. A box is a part of one chunk, or of few where chunks are small.
    touched : int
        Most chunks of a box.
    """
    chunk = zyx(map(min, scale.chunk, scale.shape))
    group = _group(chunk, scale.shape, touched)
    rows = SIDE * ceil_div(SECTIONS, group[0])
    side = zyx(map(min, (DEEPEST, rows, SIDE), group))
    seen = set()
    for place in PLACES:
        point = zyx(n * q // 8 for n, q in zip(scale.shape, place, strict=True))
        start = []
        for n, p, g, s in zip(scale.shape, point, group, side, strict=True):
            low = p // g * g
            high = max(low, min(low + g, n) - s)
            start.append(min(max(p - s // 2, low), high))
        box = BoundingBox.of_shape(side, zyx(start)) & scale.box
        if box not in seen:
            seen.add(box)
            yield box


def _group(chunk: Zyx, shape: Zyx, touched: int) -> Zyx:
    """Return the shape of chunks that are read together, so that a section is large enough."""
    group = list(chunk)
    while True:
        short = [axis for axis in (1, 2) if group[axis] < min(NARROW, shape[axis])]
        if not short:
            return zyx(group)
        axis = min(short, key=lambda axis: group[axis])
        grown = min(2 * group[axis], ceil_div(shape[axis], chunk[axis]) * chunk[axis])
        counts = [g // c for g, c in zip(group, chunk, strict=True)]
        counts[axis] = ceil_div(grown, chunk[axis])
        if math.prod(counts) > touched:
            return zyx(group)
        group[axis] = grown


def _bytes(scale: Scale, itemsize: int) -> int:
    """Return the size of a chunk inside the mip."""
    return math.prod(map(min, scale.chunk, scale.shape)) * itemsize
