"""NumPy: a ``.npy`` file with three axes, z, y, x, and any others of one voxel."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from bfly.geometry import zyx
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of, singletons

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Npy"]

MAGIC = b"\x93NUMPY"

C_ORDER, FORTRAN_ORDER = (0, 1, 2), (2, 1, 0)


class Npy(FlatFile):
    """A ``.npy`` file of any version, in C or in Fortran order."""

    name = "npy"
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
        sides = zyx(shape[axis] for axis in singletons(shape, self.path))
        order = FORTRAN_ORDER if fortran else C_ORDER
        return Header(Flat(self.path, sides, dtype, file.tell(), order))
