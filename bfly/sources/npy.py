"""NumPy: a ``.npy`` file with the axes z, y, x, and others that select a volume."""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from bfly.errors import SourceError
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Npy", "NpyHeader", "npy_header"]

MAGIC = b"\x93NUMPY"


class Npy(FlatFile):
    """A ``.npy`` file of any version, in C or in Fortran order.

    Axes have no names: beyond three, those of one voxel are left out.
    """

    name = "npy"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"npy": "a file of NumPy"}

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the file has the magic string."""
        return head_of(path, len(MAGIC)) == MAGIC

    def _header(self, file: IO[bytes]) -> Header:
        shape, is_fortran, dtype, start = npy_header(file)
        if len(shape) < 3:
            raise SourceError(
                f"{self.path} has the shape {shape}; allowed are three axes (z, y, x), none empty."
            )
        axes = axes_of((), shape, self.path, self.part)
        flat = Flat.in_array(self.path, shape, axes, dtype, start, x_first=is_fortran)
        return Header(flat, lengths=axes.lengths)


class NpyHeader(NamedTuple):
    """Header of an array.

    Parameters
    ----------
    shape : tuple of int
        Voxels along each axis.
    is_fortran : bool
        Whether the first axis is the fastest.
    dtype : numpy.dtype
        As stored.
    offset : int
        Bytes of the header.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels."""
        return math.prod(self.shape) * self.dtype.itemsize


def npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of a ``.npy`` file of any version; raise `ValueError` for any other file."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(file)
    else:
        # Version 3 differs from 2 in the encoding of field names, which voxels do not have.
        header = np.lib.format.read_array_header_2_0(file)
    return NpyHeader(*header, file.tell())
