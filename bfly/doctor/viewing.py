"""Checks of compression, chunks and mips that make a channel slow to view."""

from __future__ import annotations

import math
import os
import shlex
from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding
from bfly.doctor.sample import TILE
from bfly.geometry import BoundingBox, ceil_div
from bfly.sources.shared.decompressed import packing_of
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject
    from bfly.geometry import Zyx

__all__ = ["chunks", "mips", "packing", "planes"]

MOST_BYTES = 64 << 20
"""Maximum bytes decoded for one tile: these take a few tenths of a second."""

MOST_CHUNKS = 4096
"""Maximum number of chunks read for one tile."""

WHOLE = 1 << 30
"""Maximum bytes read for the first view of a whole volume."""

PLANES: dict[str, Zyx] = {"xy": TILE, "xz": (512, 1, 512), "yz": (512, 512, 1)}

SIDE = 64
"""Voxels along each axis of a chunk that suits every plane."""

REWRITE = {
    "hdf5": "h5repack -l CHUNK={chunk} -f GZIP=1 {path} NEW.h5",
    "tiff": "tiffcp -t -w 256 -l 256 -c zip {path} NEW.tif",
}
"""Commands that rewrite a file in better chunks, by format."""

OTHERWISE = f"Write it in chunks of {SIDE} x {SIDE} x {SIDE} voxels: zarr, N5, precomputed or HDF5."


def planes(subject: Subject) -> list[str]:
    """Return the planes in which a tile of 512² is within the limits."""
    return [name for name, tile in PLANES.items() if not _too_much(subject, tile)]


def chunks(subject: Subject) -> Iterator[Finding]:
    """Check for chunks that make sections slow to view."""
    if why := _too_much(subject, TILE):
        path = subject.source.path
        chunk = "x".join(str(min(SIDE, n)) for n in subject.source.scales[0].shape)
        command = "" if path.endswith(".json") else REWRITE.get(subject.source.name, "")
        yield Finding(
            "chunks",
            f"A tile of 512 x 512 voxels takes {why}.",
            command.format(path=shlex.quote(path), chunk=chunk) or OTHERWISE,
        )


def packing(subject: Subject) -> Iterator[Finding]:
    """Check for a file compressed as one stream: the first read decompresses all of it."""
    path = subject.source.path
    if not os.path.isfile(path):
        return
    with subject.source.files.file(path) as file:
        compressor = packing_of(file.read(4))
    if compressor:
        yield Finding(
            "chunks",
            f"It is compressed by {compressor} from end to end: "
            "the first read decompresses all of it.",
            f"{'bunzip2' if compressor == 'bzip2' else 'gunzip'} -k {shlex.quote(path)}",
        )


def mips(subject: Subject) -> Iterator[Finding]:
    """Check for a large volume with coarse mips that are neither stored nor kept."""
    volume = subject.volume
    coarsest = volume.level(volume.levels - 1)
    size = math.prod(coarsest.scale.shape) * subject.source.dtype.itemsize
    if coarsest.mip == coarsest.stored or size <= WHOLE:
        return
    kept = volume.kept(coarsest.mip)
    first = coarsest.tile_box((0, 0, 0))
    if kept is not None and kept.read(first) is not None:
        return
    remedy = "Write its mips into the volume."
    if not is_url(subject.source.path):
        where = f" -e {shlex.quote(subject.experiments)}" if subject.experiments else ""
        remedy = f"bfly pyramid {shlex.quote(subject.name)}{where}"
    yield Finding(
        "mips",
        f"It has no mips beyond {coarsest.stored}: the first look at the whole of it reads "
        f"{_bytes(size)}.",
        remedy,
    )


def _too_much(subject: Subject, tile: Zyx) -> str:
    """Return the cost of a tile above the limits, in words; empty if it is within them."""
    scale = subject.source.scales[0]
    wanted = BoundingBox.of_shape(tile) & scale.box
    counts = [ceil_div(n, c) for n, c in zip(wanted.shape, scale.chunk, strict=True)]
    sides = [min(k * c, n) for k, c, n in zip(counts, scale.chunk, scale.shape, strict=True)]
    size = math.prod(sides) * subject.source.dtype.itemsize
    if size > MOST_BYTES:
        chunk = " x ".join(map(str, scale.chunk))
        return f"{_bytes(size)} of voxels to decode, since a chunk is {chunk} voxels"
    if math.prod(counts) > MOST_CHUNKS:
        return f"{math.prod(counts):,} chunks"
    return ""


def _bytes(size: float) -> str:
    units = iter(("KiB", "MiB", "GiB", "TiB", "PiB"))
    size, unit = size / 1024, next(units)
    while size >= 1024 and unit != "PiB":
        size, unit = size / 1024, next(units)
    return f"{size:.3g} {unit}"
