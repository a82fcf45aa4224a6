"""Files of other formats that an NRRD header must not read as plain voxels.

Their voxels are not where such a header may say: they may be in chunks, compressed, or of another
byte order.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import IO

from bfly.sources.shared.decompressed import packing_of, unpacking

__all__ = ["MAGIC", "other_format"]

MAGIC = b"NRRD00"
"""The first bytes of an NRRD header."""

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


def other_format(path: str, file: IO[bytes] | None = None) -> str | None:
    """Return what a data file is, if it is of another format; None for a file of voxels.

    Parameters
    ----------
    path : str
        Its name, which tells the format of some.
    file : file object, optional
        The open file, at its beginning.
    """
    head = b"" if file is None else file.read(HEAD)
    with suppress(Exception):  # decompressors may raise anything on a part of a file
        head = unpacking(io.BytesIO(head), packing_of(head[:4])).read(START)
    ending = path.lower().removesuffix(".gz").removesuffix(".bz2").rpartition(".")[2]
    found = next((what for at, magic, what in FORMATS if head.startswith(magic, at)), None)
    return found or ENDINGS.get(ending)
