"""MRC: the MRC2014 format of electron microscopy and tomography, also CCP4 maps."""

from __future__ import annotations

import logging
import os
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from bfly import registry
from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.mrc.layout import (
    HEADER,
    MODES,
    UNSERVED,
    Layout,
    has_map,
    is_held,
    layout_of,
    possible_layouts,
)
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.decompressed import packing_of
from bfly.sources.shared.place import Position
from bfly.sources.shared.single_file import FlatFile, Header, head_of
from bfly.sources.shared.units import nanometres, sizes
from bfly.storage.files import regular
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.storage.files import Files

__all__ = ["Mrc"]

log = logging.getLogger(__name__)

ENDINGS = (
    *("ali", "ccp4", "map", "mrc", "mrcs", "preali", "rec", "st"),
    *(f"{name}.{packing}" for name in ("map", "mrc") for packing in ("bz2", "gz")),
)
"""Endings of the standard, of CCP4 and EMDB, IMOD, SerialEM and RELION."""

STAMP = 152
"""Position of the stamp of IMOD in the header, and of its flags after that, 32 bits each. The
format: https://bio3d.colorado.edu/imod/doc/mrc_format.txt"""

IMOD = 1_146_047_817
"""The stamp, the letters ``IMOD``."""

SIGNED = 1
"""Bit of IMOD's flags: bytes are signed."""

RIGHT = 0.0, 90.0
"""Degrees between axes at right angles; 0 is not stated."""

STACKS = range(401, 631)
"""Space groups of files with several volumes."""

VOLUME = "v"
"""Letter of the axis along which these are."""

STARTS = "nxstart, nystart, nzstart"

DIFFER = f"its origin and {STARTS} state different positions; the origin counts."


class Mrc(FlatFile):
    """An ``.mrc`` file, optionally in gzip or bzip2; modes 0, 1, 2, 6 and 12.

    Bytes (mode 0) are signed or unsigned by IMOD's flag, and signed where a header has none, as in
    MRC2014. A header with a maximum above 127 and no negative minimum, however, is that of unsigned
    bytes, which IMOD reads in the same way.

    The fastest axis is x unless ``mapc``, ``mapr`` and ``maps`` state otherwise. A stack of
    volumes has an axis more, ``v``. The voxel size is the cell's, in ångström, divided by the
    sampling. Exactly 1 Å along each axis is a default of programs, and counts as unknown. The
    position is ``origin``, in ångström, or else ``nxstart`` and its kin, in voxels.
    """

    name = "mrc"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(ENDINGS, "an MRC file")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the header has the word ``MAP``, or else values of an MRC file only."""
        head = head_of(path, HEADER)
        layouts = possible_layouts(head)
        if has_map(head) or not layouts:
            return has_map(head)
        try:
            with regular(path) as file:
                is_packed = packing_of(file.read(4)) is not None
                size = None if is_packed else os.fstat(file.fileno()).st_size
        except OSError:
            return False
        return any(is_held(layout, size) for layout in layouts)

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes of a stack of volumes; no other file is opened for that."""
        head = head_of(path, HEADER)
        groups = [Layout.read(head, order).group for order in "<>"] if len(head) == HEADER else []
        return super().parts(path, files) if any(group in STACKS for group in groups) else (WHOLE,)

    def _header(self, file: IO[bytes]) -> Header:
        with registry.needed(self.name):
            import mrcfile
        data = file.read(HEADER)
        stamp = None if self._packing else self._stamps[self.path]
        layout, unusual = layout_of(data, stamp and stamp[1])
        if unusual:
            log.info("%s: %s.", self.path, unusual)
        (header,) = np.frombuffer(data, mrcfile.dtypes.HEADER_DTYPE.newbyteorder(layout.order))
        shape = zyx(layout.sides)
        if min(shape) < 1 or layout.extended < 0:
            raise SourceError(f"{self.path} states {shape} voxels; all have to be 1 or more.")
        stored = self._stored(layout)
        if stored.itemsize == 1 and not self._is_signed(header, data, layout.order):
            stored = np.dtype("u1")
        order = self._axes(layout)
        self._say_angles(header)
        names = [VOLUME, *("zyx"[axis] for axis in order)]
        sides = self._volumes(header, shape)
        axes = axes_of(names, sides, self.path, self.part)
        flat = Flat.in_array(self.path, sides, axes, stored, HEADER + layout.extended)
        lengths = _lengths(header)
        position = _position(header, data, order, lengths)
        return Header(flat, _voxel_size(lengths), position, lengths=axes.lengths)

    def _say_angles(self, header: Any) -> None:
        """Log that the axes of a crystal's cell are not at right angles."""
        angles = [float(header["cellb"][angle]) for angle in ("alpha", "beta", "gamma")]
        if not all(angle in RIGHT for angle in angles):
            log.warning(
                "%s: its axes are not at right angles but at %g, %g and %g degrees; voxels are "
                "served as stored.",
                self.path,
                *angles,
            )

    def _volumes(self, header: Any, shape: Zyx) -> tuple[int, ...]:
        """Return the number of volumes, and sections, rows and columns of each.

        A stack of volumes has a space group of 401 to 630, and ``mz`` sections in each.
        """
        sections, each = shape[0], int(header["mz"])
        if header["ispg"] not in STACKS:
            return 1, *shape
        if each < 1 or sections % each:
            log.warning(
                "%s is a stack of volumes of %d sections by its header, and has %d: it is served "
                "as one volume.",
                self.path,
                each,
                sections,
            )
            return 1, *shape
        return sections // each, each, *shape[1:]

    def _stored(self, layout: Layout) -> np.dtype[Any]:
        """Return the dtype of the mode; bytes are signed."""
        if layout.mode not in MODES:
            named = f" ({UNSERVED[layout.mode]})" if layout.mode in UNSERVED else ""
            raise SourceError(
                f"{self.path}: mode is {layout.mode}{named}; allowed are 0 (int8), 1 (int16), 2 "
                "(float32), 6 (uint16) and 12 (float16)."
            )
        return np.dtype(f"{layout.order}{MODES[layout.mode]}")

    def _is_signed(self, header: Any, data: bytes, order: str) -> bool:
        """Return whether bytes are signed."""
        stamp, flags = np.frombuffer(data, np.dtype(f"{order}i4"), 2, STAMP)
        if stamp == IMOD:
            return bool(flags & SIGNED)
        lowest, highest = header["dmin"], header["dmax"]
        if not lowest < highest:
            log.info("%s does not say whether its bytes are signed; they are assumed.", self.path)
        return not (lowest >= 0 and highest > np.iinfo(np.int8).max)

    def _axes(self, layout: Layout) -> tuple[int, int, int]:
        """Return the axes in the order of the file: ``maps`` is the slowest, 1 is x."""
        numbers = [*layout.axes[::-1]]
        if not any(numbers):
            return 0, 1, 2
        if not layout.names_axes:
            raise SourceError(
                f"{self.path}: maps, mapr, mapc are {numbers}; allowed are 1, 2, 3 in any order."
            )
        return zyx(3 - number for number in numbers)


def _lengths(header: Any) -> list[float] | None:
    """Return the lengths of a voxel (z, y, x) in ångström; None without a sampling."""
    samples = [int(header[name]) for name in ("mz", "my", "mx")]
    if min(samples) < 1:
        return None
    return [float(header["cella"][axis]) / n for axis, n in zip("zyx", samples, strict=True)]


def _voxel_size(lengths: list[float] | None) -> tuple[float, float, float] | None:
    # The header holds 32-bit floats.
    if lengths is None or np.allclose(lengths, 1.0, rtol=1e-6):
        return None
    return sizes((round(size, 6) for size in lengths), nanometres("angstrom"))


def _position(
    header: Any, data: bytes, axes: tuple[int, int, int], lengths: list[float] | None
) -> Position | None:
    """Return the stated position: ``origin`` if it is not 0, else the start of the sub-volume.

    ``origin`` and the cell are along x, y and z; ``nxstart`` is along the columns of the file.
    """
    names = ("nzstart", "nystart", "nxstart")
    by_axis = dict(zip(axes, (float(header[name]) for name in names), strict=True))
    starts = [by_axis[axis] for axis in range(3)]
    origin = [_sign(header, data) * float(header["origin"][axis]) for axis in "zyx"]
    if not any(origin):
        return Position(starts, STARTS)
    if lengths is None or not min(lengths) > 0:
        return Position(starts, STARTS, doubt="its origin is ignored: it states no voxel size.")
    voxels = [start / length for start, length in zip(origin, lengths, strict=True)]
    differ = any(starts) and not np.allclose(voxels, starts, atol=0.01)
    return Position(voxels, "origin", doubt=DIFFER if differ else "")


def _sign(header: Any, data: bytes) -> int:
    """Return -1 if the origin is where IMOD had it: the file's zero as seen from its first voxel.

    The format: https://bio3d.colorado.edu/imod/doc/mrc_format.txt. A file of the standard of 2014
    has the opposite sign, and so has one of IMOD with bit 2 of ``imodFlags``.
    """
    stamp, flags = data[152:156], data[156:160]
    is_imod = stamp in (b"IMOD", b"DOMI")
    is_inverted = is_imod and any(flags[i] & 4 for i in (0, 3))
    return -1 if is_imod and not is_inverted and int(header["nversion"]) < 20140 else 1
