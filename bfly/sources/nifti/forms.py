"""Forms of NIfTI: version 1 or 2, in one file or in a pair, and ANALYZE 7.5, which came before.

The formats: ``nifti1.h`` and ``nifti2.h`` of https://nifti.nimh.nih.gov, ``dbh.h`` of ANALYZE 7.5.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

__all__ = ["ANALYZE", "LONGEST", "Form", "form_of", "image_of", "is_image", "packing_by_name"]

LONGEST = 540
"""Bytes of the longest header, that of NIfTI-2."""

PAIRED = {"hdr": "img", "img": "hdr"}
"""The ending of the other file of a pair: the header, or the voxels."""

PACKINGS = {"": None, ".gz": "gzip", ".bz2": "bzip2"}
"""Compressions by the endings of files."""

BITS = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24}
"""Bits of a voxel by the ``datatype`` of ANALYZE."""


class Form(NamedTuple):
    """The form of a header.

    Parameters
    ----------
    image : str
        Its class in nibabel.
    is_pair : bool
        Whether the voxels are in another file.
    """

    image: str
    is_pair: bool


MAGICS = (
    (348, 344, b"n+1\0", Form("Nifti1Image", is_pair=False)),
    (348, 344, b"ni1\0", Form("Nifti1Pair", is_pair=True)),
    (540, 4, b"n+2\0\r\n\x1a\n", Form("Nifti2Image", is_pair=False)),
    (540, 4, b"ni2\0\r\n\x1a\n", Form("Nifti2Pair", is_pair=True)),
)
"""Header size, offset of the magic string, that string, and the form."""

ANALYZE = Form("AnalyzeImage", is_pair=True)


def form_of(head: bytes) -> Form | None:
    """Return the form of a file by its first bytes; None for a file of another format."""
    for size, at, magic, form in MAGICS:
        if _states(head, size) and head[at : at + len(magic)] == magic:
            return form
    return ANALYZE if _is_analyze(head) else None


def _states(head: bytes, size: int) -> bool:
    return head.startswith((size.to_bytes(4, "little"), size.to_bytes(4, "big")))


def _is_analyze(head: bytes) -> bool:
    """Return whether a header without a magic string has the values of ANALYZE 7.5."""
    if len(head) < 348 or not _states(head, 348) or head[344:346] in (b"n+", b"ni"):
        return False
    order = "<" if head[0] else ">"
    count, *sides = struct.unpack_from(f"{order}8h", head, 40)
    code, bits = struct.unpack_from(f"{order}2h", head, 70)
    return bool(1 <= count <= 7 and min(sides[:count]) >= 1 and BITS.get(code) == bits)


def _split(path: str) -> tuple[str, str, str]:
    """Return a path without its ending, the ending without a dot, and that of a compression."""
    packing = next((end for end in (".gz", ".bz2") if path.lower().endswith(end)), "")
    stem, dot, ending = path[: len(path) - len(packing)].rpartition(".")
    return stem + dot, ending, path[len(path) - len(packing) :]


def is_image(path: str) -> bool:
    """Return whether a file has the voxels of a pair, by its name."""
    return _split(path)[1].lower() == "img"


def image_of(path: str) -> str:
    """Return the other file of a pair, which may be compressed in another way.

    If there is none, this is the name that it would have.
    """
    stem, ending, packing = _split(path)
    other = PAIRED.get(ending.lower(), "img")
    other = other.upper() if ending.isupper() else other
    names = [f"{stem}{other}{end}" for end in dict.fromkeys([packing, *PACKINGS])]
    return next(filter(os.path.isfile, names), names[0])


def packing_by_name(path: str) -> str | None:
    """Return the compression of voxels without a header, of which the first bytes tell nothing."""
    return PACKINGS[_split(path)[2].lower()]
