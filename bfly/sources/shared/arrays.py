"""The arrays in a folder or store, as the metadata of their format describe them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredForms
    from bfly.sources.mips import VoxelSize
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
        Where in the store it lies.
    axes : tuple of int
        Which axes of the array are z, y and x, or y and x of a single section; all others are
        one voxel long.
    names : callable
        Gives the objects that hold a box of its voxels (z, y, x, the first one 0), by their
        names in the store.
    ratio : tuple of float, optional
        By how much its voxels are larger than those of the first array (z, y, x).
    place : tuple of float, optional
        Where its first voxel lies, in its own voxels, as the format states it.
    stored : mapping
        The ways in which its chunks may be given as they are stored.
    read : callable
        Reads a chunk as it is stored, by the way to files, the file that holds it, and its first
        voxel (z, y, x); None, or `FileNotFoundError`, if it is not there.
    in_shards : bool
        Whether an object holds several chunks.
    check : callable, optional
        Raises `SourceError` unless the objects that hold a box may be unpacked.
    check_object : callable, optional
        Raises `SourceError` unless an object, by its name, may be unpacked.
    """

    spec: dict[str, Any]
    name: str
    axes: tuple[int, ...]
    names: Names
    ratio: VoxelSize | None = None
    place: Zyx = (0, 0, 0)
    stored: StoredForms = field(default_factory=dict)
    read: Callable[[Files, str, Zyx], bytes | None] = read_file
    in_shards: bool = False
    check: Callable[[BoundingBox], None] | None = None
    check_object: Callable[[str], None] | None = None


def grid_names(
    folder: str,
    axes: tuple[int, ...],
    rank: int,
    chunk: tuple[int, ...],
    separator: str,
    prefix: str = "",
) -> Names:
    """Give how the objects of a regular grid are named: by the index of a chunk.

    Parameters
    ----------
    folder : str
        Where the array lies in the store.
    axes : tuple of int
        As those of `Array`.
    rank : int
        How many axes it has.
    chunk : tuple of int
        The voxels of an object, in the array's order.
    separator, prefix : str
        What is between the numbers of an index, and before them.
    """

    def names(box: BoundingBox) -> Iterable[str]:
        spans = [range(1)] * rank
        ends = list(zip(box.start, box.stop, strict=True))[-len(axes) :]
        for axis, (start, stop) in zip(axes, ends, strict=True):
            spans[axis] = range(start // chunk[axis], (stop - 1) // chunk[axis] + 1)
        for index in itertools.product(*spans):
            name = prefix + separator.join(map(str, index))
            yield f"{folder}/{name}" if folder else name

    return names
