"""NRRD: ``.nrrd``, and ``.nhdr`` with the voxels in a separate file."""

from __future__ import annotations

import io
import math
import os
import re
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from bfly import registry
from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of, singletons
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bfly.sources.kinds.stated import Stated

__all__ = ["Nrrd"]

MAGIC = b"NRRD00"

PACKINGS = {
    "raw": None,
    "gz": "gzip",
    "gzip": "gzip",
    "bz2": "bzip2",
    "bzip2": "bzip2",
}

TYPES = {
    "char": "i1",
    "short": "i2",
    "shortint": "i2",
    "int": "i4",
    "longlong": "i8",
    "longlongint": "i8",
    "float": "f4",
    "double": "f8",
    **{f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)},
}
"""dtypes by the words of a ``type`` without ``signed``, ``unsigned`` and ``_t``."""

SEGMENT = re.compile(r"Segment[0-9]+_(ID|LabelValue)")
"""Fields in which 3D Slicer names a segment."""

LONGEST = 1 << 20
"""Most bytes of a header that are read."""


class Nrrd(FlatFile):
    """An NRRD file in the encodings raw, gzip and bzip2; the first axis, x, is the fastest.

    The voxel size is the length of each of ``space directions``, or else ``spacings``, if
    ``space units`` or ``units`` state the unit.
    """

    name = "nrrd"
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(("nhdr", "nrrd"), "an NRRD file")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the file has the magic string."""
        return head_of(path, len(MAGIC)) == MAGIC

    def _header(self, file: IO[bytes]) -> Header:
        with registry.needed(self.name):
            import nrrd
        head = io.BytesIO(file.read(LONGEST))
        fields = nrrd.read_header(head)
        encoding = str(fields["encoding"]).lower()
        if encoding not in PACKINGS:
            raise SourceError(
                f"{self.path}: encoding is {encoding}; allowed are {', '.join(PACKINGS)}."
            )
        packing = PACKINGS[encoding]
        path, start = self._data(fields, head.tell())
        axes = singletons(tuple(map(int, fields["sizes"])), self.path)
        shape = zyx(fields["sizes"][axis] for axis in reversed(axes))
        stored = _dtype(str(fields["type"]), str(fields.get("endian", "little")))
        skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
        if skip < 0 and packing:
            raise SourceError(
                f"{self.path}: byte skip is {skip}; allowed for compressed voxels is 0 or more."
            )
        if skip < 0:
            # The voxels end where the file ends.
            with self.files.open(path) as (fd, _):
                size = os.fstat(fd).st_size
            start, skip = size - math.prod(shape) * stored.itemsize, 0
        # For compressed voxels, byte skip counts bytes after decompression.
        flat = Flat(path, shape, stored, skip if packing else start + skip)
        return Header(flat, _voxel_size(fields, axes), packing, start, _kind(fields))

    def _data(self, fields: dict[str, Any], end: int) -> tuple[str, int]:
        """Return the file with the voxels, and their offset in it, in bytes."""
        if int(fields.get("line skip", fields.get("lineskip", 0))):
            raise SourceError(f"{self.path}: line skip is not 0, which is all that is allowed.")
        name = fields.get("data file", fields.get("datafile"))
        if name is None:
            return self.path, end
        if not isinstance(name, str) or name.startswith("LIST") or "%" in name:
            raise SourceError(f"{self.path}: data file is {name!r:.50}; allowed is one file.")
        path = os.path.join(os.path.dirname(self.path), name)
        self._watch(path)
        return path, 0


def _dtype(text: str, endian: str) -> np.dtype[Any]:
    """Return the dtype of a ``type``, such as ``unsigned short``, ``uint16_t`` or ``float``."""
    word = text.lower().replace(" ", "").removesuffix("_t")
    unsigned = word.startswith("u")
    word = TYPES[word.removeprefix("un").removeprefix("signed").removeprefix("u")]
    order = ">" if endian.lower() == "big" else "<"
    return np.dtype(f"{order}{'u' if unsigned else word[0]}{word[1]}")


def _kind(fields: dict[str, Any]) -> Stated | None:
    """Return labels for a file with the segments of 3D Slicer (``.seg.nrrd``)."""
    found = next((name for name in fields if SEGMENT.fullmatch(name)), None)
    return ("segmentation", f"field {found}") if found else None


def _voxel_size(
    fields: dict[str, Any], axes: tuple[int, int, int]
) -> tuple[float, float, float] | None:
    directions, spacings = fields.get("space directions"), fields.get("spacings")
    if directions is not None:
        lengths = [float(np.linalg.norm(directions[axis])) for axis in axes]
        units = fields.get("space units")
    elif spacings is not None:
        lengths = [float(spacings[axis]) for axis in axes]
        units = fields.get("units")
        units = [units[axis] for axis in axes] if units is not None else None
    else:
        return None
    if units is None or len(units) != 3 or len(set(units)) != 1:
        return None
    return sizes(reversed(lengths), nanometres(units[0]))
