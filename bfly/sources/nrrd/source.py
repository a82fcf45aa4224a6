"""NRRD: ``.nrrd``, and ``.nhdr`` with the voxels in separate files."""

from __future__ import annotations

import io
import math
import os
from typing import IO, TYPE_CHECKING, ClassVar, NamedTuple

from bfly import registry
from bfly.errors import SourceError
from bfly.sources.nrrd.data_files import LIST, DataFiles, data_files
from bfly.sources.nrrd.fields import dtype_of, kind_of, names_of, position_of, size_of
from bfly.sources.nrrd.foreign import MAGIC, other_format
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.decompressed import TEXT
from bfly.sources.shared.single_file import FlatFile, Header, head_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Nrrd"]

PACKINGS = {
    "raw": None,
    "gz": "gzip",
    "gzip": "gzip",
    "bz2": "bzip2",
    "bzip2": "bzip2",
    **dict.fromkeys(("text", "txt", "ascii"), TEXT),
}
"""Compressions by the words of ``encoding``; numbers in text are converted as others are
decompressed."""

COMPRESSED = ("gzip", "bzip2")

LONGEST = 1 << 20
"""Most bytes of a header that are read, and of the lines that are skipped in a data file."""


class Skips(NamedTuple):
    """Lines and bytes before the voxels of each data file, and the end of an attached header."""

    lines: int
    bytes: int
    header: int


class Nrrd(FlatFile):
    """An NRRD file in the encodings raw, text, gzip and bzip2; the axes of space are x, y, z.

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
        data = file.read(LONGEST)
        found = LIST.search(data.partition(b"\n\n")[0] + b"\n")
        # The names after it have no colon, and are no fields that pynrrd reads.
        head = io.BytesIO(data[: found.start()] if found else data)
        fields = nrrd.read_header(head)
        encoding = str(fields["encoding"]).lower()
        if encoding not in PACKINGS:
            raise SourceError(
                f"{self.path}: encoding is {encoding}; allowed are {', '.join(PACKINGS)}."
            )
        shape = [int(side) for side in fields["sizes"]]
        axes = axes_of(names_of(fields), shape, self.path, self.part, x_first=True)
        stored = dtype_of(str(fields["type"]), str(fields.get("endian", "little")))
        packing = PACKINGS[encoding]
        if packing == TEXT:
            stored = stored.newbyteorder("<")
            packing += stored.str
        value = fields.get("data file", fields.get("datafile"))
        if found:
            listed = (data[found.end() :] + file.read()).decode(errors="surrogateescape")
            lines = [name.strip() for name in listed.splitlines() if name.strip()]
            files = data_files(found[1].decode(errors="replace"), lines, shape, self.path)
        elif value is not None:
            files = data_files(str(value), None, shape, self.path)
        else:
            files = DataFiles(("",), tuple(shape), (1,) * len(shape))
        names, counts, inside = files.of_volume(axes)
        skips = self._skips(fields, packing, head.tell())
        paths = self._watched(names)
        needed = math.prod(files.sizes) * stored.itemsize
        starts = [self._start_of(path, skips, needed, packing) for path in paths]
        # In compressed voxels, bytes are skipped after decompression.
        before = starts[0] if packing is None else skips.bytes * (packing in COMPRESSED)
        flat = Flat.in_array(paths[0], files.sizes, inside, stored, before, x_first=True)
        if packing is None:
            starts = [start + flat.offset - before for start in starts]
        stated, position = size_of(fields, axes.zyx), position_of(fields, axes.zyx)
        return Header(
            flat,
            stated,
            position,
            packing,
            starts[0],
            axes.lengths,
            kind_of(fields),
            counts,
            list(zip(paths, starts, strict=True)),
        )

    def _skips(self, fields: Mapping[str, Any], packing: str | None, end: int) -> Skips:
        """Return what is skipped in each data file; `end` is that of the header, in bytes."""
        lines = int(fields.get("line skip", fields.get("lineskip", 0)))
        skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
        if lines < 0:
            raise SourceError(f"{self.path}: line skip is {lines}; allowed is 0 or more.")
        if skip < 0 and packing:
            raise SourceError(
                f"{self.path}: byte skip is {skip}; allowed for encodings other than raw is 0 or "
                "more."
            )
        return Skips(lines, skip, end)

    def _watched(self, names: tuple[str, ...]) -> list[str]:
        """Watch the data files and return their paths.

        Raises
        ------
        SourceError
            One is missing, or of another format by its name, or the first by its content.
        NotAllowed
            One is outside the allowed folders.
        """
        if names == ("",):
            return [self.path]
        folder = os.path.dirname(self.path)
        paths = [os.path.join(folder, name) for name in names]
        for number, path in enumerate(paths):
            self.files.resolve(path)
            self._watch(path)
            if self._stamps[path] is None:
                raise SourceError(f"{self.path}: the data file {path} does not exist.")
            if number == 0:
                with self.files.file(path) as file:
                    what = other_format(path, file)
            else:
                what = other_format(path)
            if what:
                raise SourceError(
                    f"{self.path}: the data file {path} is {what}; allowed is a file of voxels "
                    "only. Open that file itself."
                )
        return paths

    def _start_of(self, path: str, skips: Skips, needed: int, packing: str | None) -> int:
        """Return the offset of the voxels in a data file, or of their compressed data.

        A negative ``byte skip`` of -1 - n leaves n bytes behind the voxels, which it counts from
        the end of the file; `needed` is their size.
        """
        start = skips.header if path == self.path else 0
        if skips.bytes < 0:
            with self.files.open(path) as (fd, _):
                size = os.fstat(fd).st_size
            begin = size - needed + skips.bytes + 1
            if begin < start:
                raise SourceError(
                    f"{self.path}: byte skip is {skips.bytes}; {path} has {size} bytes, which do "
                    f"not hold {needed} of voxels before that place."
                )
            return begin
        if skips.lines:
            start += self._length_of_lines(path, start, skips.lines)
        return start if packing in COMPRESSED else start + skips.bytes

    def _length_of_lines(self, path: str, start: int, lines: int) -> int:
        """Return the bytes of the first lines of a data file."""
        if path == self.path and self._packing:
            raise SourceError(
                f"{path}: line skip is {lines}; allowed is 0 in a file that is compressed as a "
                "whole."
            )
        with self.files.file(path) as file:
            file.seek(start)
            head = file.read(LONGEST)
        ends = head.split(b"\n", lines)
        if len(ends) <= lines:
            raise SourceError(
                f"{self.path}: line skip is {lines}; the first {len(head)} bytes of the data in "
                f"{path} have {len(ends) - 1} lines."
            )
        return len(head) - len(ends[-1])
