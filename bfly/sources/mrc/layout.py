"""Byte order, mode and sizes of an MRC file, also where its machine stamp does not state them.

The format: https://www.ccpem.ac.uk/mrc_format/mrc2014.php. Programs write other stamps than the
two of the standard, none at all, or that of the other byte order, and IMOD's of before 2000 have
no word ``MAP`` (https://bio3d.colorado.edu/imod/doc/mrc_format.txt).
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

__all__ = [
    "HEADER",
    "MODES",
    "UNSERVED",
    "Layout",
    "has_map",
    "is_held",
    "layout_of",
    "possible_layouts",
]

HEADER = 1024
"""Bytes of the header, which the extended one follows."""

MAP = slice(208, 211)
"""Position of the word ``MAP`` in the header."""

STAMP = slice(212, 216)
"""Position of the machine stamp."""

ORDERS = {b"\x44\x44": "<", b"\x44\x41": "<", b"\x11\x11": ">"}
"""Byte orders by the first two bytes of the stamp; the others are not used."""

MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
"""dtypes by the modes that are served."""

UNSERVED = {
    3: "complex int16",
    4: "complex float32",
    16: "colours of IMOD",
    101: "4-bit integers",
}
"""Other modes, and what their voxels are."""

LARGEST = 1 << 24
"""Most columns, rows and sections of a header without ``MAP``: more than any microscope writes."""


class Layout(NamedTuple):
    """What a header states of the voxels in one byte order.

    Parameters
    ----------
    order : {"<", ">"}
        The byte order.
    sides : tuple of int
        Sections, rows and columns.
    mode : int
        Type of the voxels.
    axes : tuple of int
        ``mapc``, ``mapr``, ``maps``: 1 is x.
    group : int
        Number of the space group.
    extended : int
        Bytes of the extended header.
    """

    order: str
    sides: tuple[int, int, int]
    mode: int
    axes: tuple[int, int, int]
    group: int
    extended: int

    @classmethod
    def read(cls, head: bytes, order: str) -> Layout:
        """Return the layout in a header, if it has this byte order."""
        columns, rows, sections, mode = struct.unpack_from(f"{order}4i", head)
        axes = struct.unpack_from(f"{order}3i", head, 64)
        group, extended = struct.unpack_from(f"{order}2i", head, 88)
        return cls(order, (sections, rows, columns), mode, axes, group, extended)

    @property
    def names_axes(self) -> bool:
        """Whether columns, rows and sections are along three different axes."""
        return sorted(self.axes) == [1, 2, 3]

    @property
    def is_possible(self) -> bool:
        """Whether a file can have this layout."""
        known = self.mode in MODES or self.mode in UNSERVED
        named = self.names_axes or not any(self.axes)
        return known and named and min(self.sides) >= 1 and self.extended >= 0

    @property
    def end(self) -> int:
        """Bytes of a file with this layout; of modes that are not served, those of the headers."""
        itemsize = int(MODES.get(self.mode, "i0")[1:])
        return HEADER + self.extended + math.prod(self.sides) * itemsize


def layout_of(head: bytes, size: int | None) -> tuple[Layout, str]:
    """Return the layout of a file, and what is unusual in its machine stamp.

    Parameters
    ----------
    head : bytes
        The header.
    size : int, optional
        Bytes of the file; None if it is compressed.

    Returns
    -------
    Layout
        That of the stamp's byte order, if it is possible. Otherwise that of the only possible
        order, or else of that in which the volume fits the file, or is smaller.
    str
        How the byte order was found, if the stamp does not state it; otherwise empty.
    """
    stamp = head[STAMP]
    stated = ORDERS.get(stamp[:2])
    both = [Layout.read(head, order) for order in ("<", ">")]
    possible = [layout for layout in both if layout.is_possible]
    fitting = [layout for layout in possible if size is not None and layout.end <= size]
    chosen = min(fitting or possible or both[:1], key=lambda layout: layout.end)
    usual = next((layout for layout in both if layout.order == stated), None)
    if usual is not None and (usual in (fitting or possible) or not possible):
        return usual, ""
    words = {"<": "little-endian", ">": "big-endian"}[chosen.order]
    states = "another" if stated else "no"
    return chosen, (
        f"its machine stamp, {' '.join(f'0x{byte:02x}' for byte in stamp)}, states {states} byte "
        f"order; by its mode and sizes it is {words}"
    )


def has_map(head: bytes) -> bool:
    """Return whether a header has the word ``MAP``."""
    return len(head) == HEADER and head[MAP] == b"MAP"


def possible_layouts(head: bytes) -> list[Layout]:
    """Return the layouts that a header without the word ``MAP`` may have, in either byte order.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, after decompression.
    """
    both = [Layout.read(head, order) for order in "<>"] if len(head) == HEADER else []
    return [each for each in both if each.is_possible and max(each.sides) <= LARGEST]


def is_held(layout: Layout, size: int | None) -> bool:
    """Return whether a file without the word ``MAP`` holds the voxels of a layout.

    Parameters
    ----------
    layout : Layout
        One of `possible_layouts`. If it names no axes, the file has to end with the voxels.
    size : int, optional
        Bytes of the file; None if it is compressed.
    """
    if size is None or not layout.names_axes:
        return layout.names_axes or layout.end == size
    return layout.end <= size
