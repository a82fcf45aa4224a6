"""How the pages of a TIFF are stored, read page by page before tifffile groups them.

tifffile looks at three pages and reads the others as if they were stored as the first one. This
takes a few microseconds a page.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np

from bfly.storage.limits import PAGES, check_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tifffile

__all__ = ["layouts_of"]

TAGS = {
    254, 255, 256, 257, 258, 259, 262, 266, 277, 278, 284, 317, 320, 322, 323, 330, 338, 339, 530,
    32997, 32998,
}  # fmt: skip
"""Tags that state the shape, dtype, colours, compression, strips or tiles, and kind of a page
(TIFF 6.0, and the supplements of Adobe and SGI), and whether it has SubIFDs."""

SUBIFDS = 330

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by the type of a tag."""

LONGEST = 2048
"""Most bytes of a value that are compared: more than a colour table of 8 bits."""

ENTRIES = 4096
"""Most tags of a page; tifffile reads none of one that has more, and none behind it."""

CLASSIC = 12
"""Bytes of an entry of a TIFF that is no BigTIFF: 8 of tag, type and count, 4 of values."""


def layouts_of(tiff: tifffile.TiffFile, path: str) -> Mapping[int, bytes]:
    """Return the layouts of all pages by the offset of their directories, in the file's order.

    Pages of equal layouts are stored alike. The chain of pages ends at a cycle, as in tifffile, and
    at a page that is cut off.

    Raises
    ------
    Oversized
        There are too many pages; they are counted before tifffile reads any but the first.
    """
    layouts: dict[int, bytes] = {}
    shared: dict[bytes, bytes] = {}
    form, file = tiff.tiff, tiff.filehandle
    entries = _Entries(b"", tiff)
    at = tiff.pages[0].offset
    while at and len(layouts) <= PAGES and at < file.size and at not in layouts:
        file.seek(at)
        (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        if count > ENTRIES:
            break
        size = count * form.tagsize
        data = file.read(size + form.offsetsize)
        heads = _heads(data[:size], form.tagsize)
        if heads != entries.heads:
            entries = _Entries(heads, tiff)
        layout = entries.layout(data)
        layouts[at] = shared.setdefault(layout, layout)
        if len(data) < size + form.offsetsize:
            break
        (at,) = struct.unpack_from(form.offsetformat, data, size)
    check_number(path, len(layouts), PAGES, "pages")
    return layouts


def _heads(directory: bytes, size: int) -> bytes:
    """Return the tags, types and counts of a directory's entries of `size` bytes."""
    whole = len(directory) // size * size
    table = np.frombuffer(directory[:whole], np.uint8).reshape(-1, size)
    return table[:, : size - 4 if size == CLASSIC else 12].tobytes()


class _Entries:
    """Where the entries of directories state how pages are stored; most pages have the same ones.

    Parameters
    ----------
    heads : bytes
        Tags, types and counts of all entries.
    tiff : tifffile.TiffFile
        The open file.
    """

    def __init__(self, heads: bytes, tiff: tifffile.TiffFile) -> None:
        self.heads = heads
        self._file = tiff.filehandle
        self._order: Literal["little", "big"] = "little" if tiff.tiff.byteorder == "<" else "big"
        size = tiff.tiff.tagsize
        width = len(_heads(bytes(size), size))
        fixed, self._inside, self._outside = [], [], []
        for number, start in enumerate(range(0, len(heads), width)):
            head = heads[start : start + width]
            code, kind = struct.unpack_from(tiff.tiff.tagformat1, head)
            if code not in TAGS:
                continue
            fixed.append(head)
            nbytes = SIZES.get(kind, 1) * int.from_bytes(head[4:], self._order)
            first, end = number * size + width, (number + 1) * size
            if code == SUBIFDS:
                continue
            if nbytes <= end - first:
                self._inside.append(slice(first, first + nbytes))
            else:
                self._outside.append((slice(first, end), min(nbytes, LONGEST)))
        self._fixed = b"".join(fixed)

    def layout(self, directory: bytes) -> bytes:
        """Return what a directory with these entries states, as bytes without an order."""
        parts = [self._fixed, *[directory[place] for place in self._inside]]
        for place, size in self._outside:
            self._file.seek(int.from_bytes(directory[place], self._order))
            parts.append(self._file.read(size))
        return b"".join(parts)
