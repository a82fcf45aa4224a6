"""NumPy: a ``.npy`` file with the axes z, y, x, and others that select a volume."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from bfly.errors import SourceError
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Npy"]

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
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            # Version 3 differs from 2 in the encoding of field names, which voxels do not have.
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        if len(shape) < 3:
            raise SourceError(
                f"{self.path} has the shape {shape}; allowed are three axes (z, y, x), none empty."
            )
        axes = axes_of((), shape, self.path, self.part)
        start = file.tell()
        flat = Flat.in_array(self.path, shape, axes, dtype, start, x_first=fortran)
        return Header(flat, lengths=axes.lengths)
