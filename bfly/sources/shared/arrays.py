"""Arrays of a folder or store, as the metadata of their format describe them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredForms
    from bfly.sources.mips import VoxelSize
    from bfly.sources.shared.axes import VolumeAxes
    from bfly.sources.shared.chunk_keys import ChunkKeys
    from bfly.sources.shared.own_chunks import OwnChunks
    from bfly.storage.files import Files

__all__ = ["Array", "Names", "grid_names"]

Names = Callable[[BoundingBox], Iterable[str]]


def read_file(files: Files, path: str, _start: Zyx) -> bytes:
    """Read a file that holds one chunk."""
    return files.read_bytes(path)


@dataclass(frozen=True, slots=True)
class Array:
    """A level of a volume, as the metadata describe it.

    Parameters
    ----------
    spec : dict
        TensorStore's driver and its options, without the store.
    name : str
        Path of the array in the store.
    axes : tuple of int
        Which axes of the array are z, y and x, or y and x of a single section.
    names : callable
        Returns the names, in the store, of the objects that hold a box of its voxels (z, y, x,
        counted from 0).
    ratio : tuple of float, optional
        Size of its voxels relative to those of the first array (z, y, x).
    place : tuple of int, optional
        Position of its first voxel, in its own voxels, if the format states it.
    stored : mapping
        Stored forms in which its chunks can be served without decoding.
    read : callable
        Reads a stored chunk. Takes `Files`, the file that holds it, and its first voxel
        (z, y, x). Returns None, or raises `FileNotFoundError`, if there is no chunk.
    in_shards : bool
        Whether an object holds several chunks.
    check : callable, optional
        Raises `SourceError` unless the objects that hold a box may be decompressed.
    check_object : callable, optional
        Raises `SourceError` unless an object, by its name, may be decompressed.
    at : mapping of int to int
        Index of the volume on each of the other axes.
    document : tuple of str and dict, optional
        Name in the store of the metadata, and what TensorStore is given as their content.
    own : OwnChunks, optional
        How chunks are decoded that TensorStore cannot decode.
    keys : ChunkKeys
        How the objects are named, to find those that have other names.
    """

    spec: dict[str, Any]
    name: str
    axes: tuple[int, ...]
    names: Names
    ratio: VoxelSize | None = None
    place: Zyx | None = None
    stored: StoredForms = field(default_factory=dict)
    read: Callable[[Files, str, Zyx], bytes | None] = read_file
    in_shards: bool = False
    check: Callable[[BoundingBox], None] | None = None
    check_object: Callable[[str], None] | None = None
    at: Mapping[int, int] = field(default_factory=dict)
    document: tuple[str, Mapping[str, Any]] | None = None
    own: OwnChunks | None = None
    keys: ChunkKeys = field(kw_only=True)


def grid_names(
    folder: str,
    axes: VolumeAxes,
    rank: int,
    chunk: tuple[int, ...],
    separator: str,
    prefix: str = "",
) -> Names:
    """Return a function that names the objects of a regular grid by chunk index.

    Parameters
    ----------
    folder : str
        Path of the array in the store.
    axes : VolumeAxes
        Axes of the volume, and its place on the others.
    rank : int
        Number of axes of the array.
    chunk : tuple of int
        Shape of an object in voxels, in the array's order.
    separator, prefix : str
        Text between the numbers of an index, and before them.
    """

    def names(box: BoundingBox) -> Iterable[str]:
        firsts = [axes.at.get(axis, 0) // chunk[axis] for axis in range(rank)]
        spans = [range(first, first + 1) for first in firsts]
        ends = list(zip(box.start, box.stop, strict=True))[-len(axes.zyx) :]
        for axis, (start, stop) in zip(axes.zyx, ends, strict=True):
            spans[axis] = range(start // chunk[axis], (stop - 1) // chunk[axis] + 1)
        for index in itertools.product(*spans):
            name = prefix + separator.join(map(str, index))
            yield f"{folder}/{name}" if folder else name

    return names
