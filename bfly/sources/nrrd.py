"""NRRD: ``.nrrd``, and ``.nhdr`` with the voxels in a separate file."""

from __future__ import annotations

import io
import math
import os
import re
from contextlib import suppress
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from bfly import registry
from bfly.errors import SourceError
from bfly.sources.shared.axes import axes_of, letter_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.decompressed import packing_of, unpacking
from bfly.sources.shared.place import Position, index_position
from bfly.sources.shared.single_file import FlatFile, Header, head_of
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

SPACE = ("", "none", "???", "domain", "space")
"""Kinds of axes that may be z, y or x; all others but time are components of a value."""
LIST = re.compile(rb"^data ?file:\s*(LIST\b.*)$", re.M | re.I)
"""The last field of a header that continues with the names of several files."""
SEGMENT = re.compile(r"Segment[0-9]+_(ID|LabelValue)")
"""Fields in which 3D Slicer names a segment."""

LONGEST = 1 << 20
"""Most bytes of a header that are read."""


HEAD, START = 64 << 10, 512
"""Bytes of a data file that are read, and that are needed of it without compression."""

FORMATS = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    *((0, magic, "a TIFF file") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, MAGIC, "an NRRD file"),
    (0, b"\x93NUMPY", "a NumPy file"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG file"),
    (0, b"PK\3\4", "a zip archive"),
    (4, b"n+2\0\r\n\x1a\n", "a NIfTI file"),
    (344, b"n+1\0", "a NIfTI file"),
    (208, b"MAP ", "an MRC file"),
    (128, b"DICM", "a DICOM file"),
)
"""Where other formats have their magic, the magic, and their names."""

ENDINGS = {
    **dict.fromkeys(("h5", "hdf", "hdf5", "ims", "nwb", "mat"), "an HDF5 file by its name"),
    **dict.fromkeys(("tif", "tiff", "btf"), "a TIFF file by its name"),
    **dict.fromkeys(("nii", "mrc", "rec", "npy", "npz", "nrrd", "nhdr"), "a volume by its name"),
    **dict.fromkeys(("png", "jpg", "jpeg", "bmp", "zip"), "of another format by its name"),
}
"""Other formats by the endings of their files: some have no magic, or have it further on."""


class Nrrd(FlatFile):
    """An NRRD file in the encodings raw, gzip and bzip2; the axes of space are x, y, z.

    ``kinds``, ``space directions`` and ``labels`` state axes of channels and of time.
    The voxel size is the length of each of ``space directions``, or else ``spacings``, if
    ``space units`` or ``units`` state the unit. The position is ``space origin``, in those
    directions, or else ``axis mins``.
    """

    name = "nrrd"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(("nhdr", "nrrd"), "an NRRD file")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the file has the magic string."""
        return head_of(path, len(MAGIC)) == MAGIC

    def _header(self, file: IO[bytes]) -> Header:
        with registry.needed(self.name):
            import nrrd
        head = io.BytesIO(file.read(LONGEST))
        # The names after it have no colon, and are no fields that pynrrd reads.
        if found := LIST.search(head.getvalue().partition(b"\n\n")[0]):
            raise SourceError(
                f"{self.path}: data file is {found[1].decode(errors='replace')!r:.50}; allowed is "
                "one file."
            )
        fields = nrrd.read_header(head)
        encoding = str(fields["encoding"]).lower()
        if encoding not in PACKINGS:
            raise SourceError(
                f"{self.path}: encoding is {encoding}; allowed are {', '.join(PACKINGS)}."
            )
        packing = PACKINGS[encoding]
        path, start = self._data(fields, head.tell())
        shape = [int(side) for side in fields["sizes"]]
        axes = axes_of(_names(fields), shape, self.path, self.part, x_first=True)
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
        first = skip if packing else start + skip
        flat = Flat.in_array(path, shape, axes, stored, first, x_first=True)
        stated, position = _voxel_size(fields, axes.zyx), _position(fields, axes.zyx)
        return Header(flat, stated, position, packing, start, axes.lengths, _kind(fields))

    def _data(self, fields: dict[str, Any], end: int) -> tuple[str, int]:
        """Return the file with the voxels, and their offset in it, in bytes."""
        if int(fields.get("line skip", fields.get("lineskip", 0))):
            raise SourceError(f"{self.path}: line skip is not 0, which is all that is allowed.")
        name = fields.get("data file", fields.get("datafile"))
        if name is None:
            return self.path, end
        if not isinstance(name, str) or "%" in name:
            raise SourceError(f"{self.path}: data file is {name!r:.50}; allowed is one file.")
        path = os.path.join(os.path.dirname(self.path), name)
        self._watch(path)
        self._check_raw(path)
        return path, 0

    def _check_raw(self, path: str) -> None:
        """Raise `SourceError` if a data file is missing or of another format.

        Its voxels are not where a header without knowledge of that format may say: they may be
        in chunks, compressed, or of another byte order.
        """
        try:
            with self.files.file(path) as file:
                head = file.read(HEAD)
        except FileNotFoundError:
            raise SourceError(f"{self.path}: the data file {path} does not exist.") from None
        with suppress(Exception):  # decompressors may raise anything on a part of a file
            head = unpacking(io.BytesIO(head), packing_of(head[:4])).read(START)
        ending = path.lower().removesuffix(".gz").removesuffix(".bz2").rpartition(".")[2]
        found = next((what for at, magic, what in FORMATS if head.startswith(magic, at)), None)
        if what := found or ENDINGS.get(ending):
            raise SourceError(
                f"{self.path}: the data file {path} is {what}; allowed is a file of voxels only. "
                "Open that file itself."
            )


def _dtype(text: str, endian: str) -> np.dtype[Any]:
    """Return the dtype of a ``type``, such as ``unsigned short``, ``uint16_t`` or ``float``."""
    word = text.lower().replace(" ", "").removesuffix("_t")
    unsigned = word.startswith("u")
    word = TYPES[word.removeprefix("un").removeprefix("signed").removeprefix("u")]
    order = ">" if endian.lower() == "big" else "<"
    return np.dtype(f"{order}{'u' if unsigned else word[0]}{word[1]}")


def _names(fields: dict[str, Any]) -> list[str]:
    """Return the names of the axes: c and t by ``kinds`` and directions, or else by ``labels``.

    An axis without a direction in space is none of space:
    https://teem.sourceforge.net/nrrd/format.html.
    """
    count = len(fields["sizes"])
    labels = [str(label) for label in fields.get("labels") or [""] * count]
    kinds = [str(kind).lower() for kind in fields.get("kinds") or [""] * count]
    directions = fields.get("space directions")
    if directions is None:
        directions = [0.0] * count
    in_space = [step is not None and not np.isnan(step).any() for step in directions]
    names = []
    for kind, label, is_space in zip(kinds, labels, in_space, strict=True):
        letter = letter_of(label)
        if kind in SPACE and is_space:
            names.append(letter if letter in [*"zyxct"] else "")
        else:
            names.append("t" if kind == "time" or letter == "t" else "c")
    return names


def _kind(fields: dict[str, Any]) -> Stated | None:
    """Return labels for a file with the segments of 3D Slicer (``.seg.nrrd``)."""
    found = next((name for name in fields if SEGMENT.fullmatch(name)), None)
    return ("segmentation", f"field {found}") if found else None


def _voxel_size(fields: dict[str, Any], axes: tuple[int, ...]) -> tuple[float, float, float] | None:
    """Return the size of a voxel in nanometres (z, y, x), if it is stated for all of `axes`."""
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
    if units is None or len(units) != 3 or len(set(units)) != 1 or len(axes) != 3:
        return None
    return sizes(lengths, nanometres(units[0]))


def _position(fields: dict[str, Any], axes: tuple[int, ...]) -> Position | None:
    """Return the stated position: lengths along the axes, in the unit of the voxel size."""
    directions, spacings = fields.get("space directions"), fields.get("spacings")
    origin, mins = fields.get("space origin"), fields.get("axis mins", fields.get("axismins"))
    if len(axes) != 3:
        return None
    if directions is not None and origin is not None and len(origin) == 3:
        steps = [directions[axis] for axis in reversed(axes)]
        return index_position(origin, steps, "space origin")
    if mins is None or spacings is None:
        return None
    pairs = [(float(mins[axis]), float(spacings[axis])) for axis in axes]
    if all(math.isnan(start) for start, _ in pairs) or any(step == 0 for _, step in pairs):
        return None
    return Position([start / step for start, step in pairs], "axis mins")
