"""MRC: the MRC2014 format of electron microscopy and tomography, also CCP4 maps."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from bfly import registry
from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Mrc"]

log = logging.getLogger(__name__)

HEADER = 1024
"""Bytes of the header, which the extended one follows."""

MAP = slice(208, 211)
"""Position of the word ``MAP`` in the header."""

STAMP = 152
"""Position of the stamp of IMOD in the header, and of its flags after that, 32 bits each. The
format: https://bio3d.colorado.edu/imod/doc/mrc_format.txt"""

IMOD = 1_146_047_817
"""The stamp, the letters ``IMOD``."""

SIGNED = 1
"""Bit of IMOD's flags: bytes are signed."""


class Mrc(FlatFile):
    """An ``.mrc`` file, optionally in gzip or bzip2; modes 0, 1, 2 and 6.

    Bytes (mode 0) are signed or unsigned by IMOD's flag, and signed where a header has none, as in
    MRC2014. A header with a maximum above 127 and no negative minimum, however, is that of unsigned
    bytes, which IMOD reads in the same way.

    The fastest axis is x unless ``mapc``, ``mapr`` and ``maps`` state otherwise. The voxel size
    is the cell's, in ångström, divided by the sampling. Exactly 1 Å along each axis is a default
    of programs, and counts as unknown.
    """

    name = "mrc"
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("map", "mrc", "mrc.gz", "rec", "st"), "an MRC file"
    )

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the header has the word ``MAP``."""
        head = head_of(path, HEADER)
        return len(head) == HEADER and head[MAP] == b"MAP"

    def _header(self, file: IO[bytes]) -> Header:
        with registry.needed(self.name):
            import mrcfile
        data, layout = file.read(HEADER), mrcfile.dtypes.HEADER_DTYPE
        (header,) = np.frombuffer(data, layout)
        order = mrcfile.utils.byte_order_from_machine_stamp(header["machst"])
        (header,) = np.frombuffer(data, layout.newbyteorder(order))
        stored = mrcfile.utils.dtype_from_mode(header["mode"]).newbyteorder(order)
        if stored.itemsize == 1 and not self._is_signed(header, data, order):
            stored = np.dtype("u1")
        shape = zyx(header[name] for name in ("nz", "ny", "nx"))
        if min(shape) < 1 or header["nsymbt"] < 0:
            raise SourceError(f"{self.path} states {shape} voxels; all have to be 1 or more.")
        axes = self._axes(header)
        sides = dict(zip(axes, shape, strict=True))
        flat = Flat(
            self.path,
            zyx(sides[axis] for axis in range(3)),
            stored,
            HEADER + int(header["nsymbt"]),
            axes,
        )
        return Header(flat, _voxel_size(header))

    def _is_signed(self, header: Any, data: bytes, order: str) -> bool:
        """Return whether bytes are signed."""
        stamp, flags = np.frombuffer(data, np.dtype(f"{order}i4"), 2, STAMP)
        if stamp == IMOD:
            return bool(flags & SIGNED)
        lowest, highest = header["dmin"], header["dmax"]
        if not lowest < highest:
            log.info("%s does not say whether its bytes are signed; they are assumed.", self.path)
        return not (lowest >= 0 and highest > np.iinfo(np.int8).max)

    def _axes(self, header: Any) -> tuple[int, int, int]:
        """Return the axes in the order of the file: ``maps`` is the slowest, 1 is x."""
        numbers = [int(header[name]) for name in ("maps", "mapr", "mapc")]
        if not any(numbers):
            return 0, 1, 2
        if sorted(numbers) != [1, 2, 3]:
            raise SourceError(
                f"{self.path}: maps, mapr, mapc are {numbers}; allowed are 1, 2, 3 in any order."
            )
        return zyx(3 - number for number in numbers)


def _voxel_size(header: Any) -> tuple[float, float, float] | None:
    samples = [int(header[name]) for name in ("mz", "my", "mx")]
    if min(samples) < 1:
        return None
    cell = [float(header["cella"][axis]) for axis in "zyx"]
    angstroms = [length / n for length, n in zip(cell, samples, strict=True)]
    # The header holds 32-bit floats.
    if np.allclose(angstroms, 1.0, rtol=1e-6):
        return None
    return sizes((round(size, 6) for size in angstroms), nanometres("angstrom"))
