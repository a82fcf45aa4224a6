"""NIfTI: ``.nii`` and ``.nii.gz`` of NIfTI-1 and -2."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

from bfly import registry
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.place import index_position
from bfly.sources.shared.single_file import FlatFile, Header, head_of
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bfly.sources.kinds.stated import Stated
    from bfly.sources.shared.place import Position

__all__ = ["Nifti"]

FIRST, SECOND = (348, 344, b"n+1\0"), (540, 4, b"n+2\0\r\n\x1a\n")
"""Header size, offset of the magic string, and that string: NIfTI-1 and -2."""

AXES = "xyztc"
"""The first five axes, as https://nifti.nimh.nih.gov defines them; the fifth holds the components
of a vector."""
LABELS = (1002, 1003)
"""Intent codes of labels and of NeuroNames, in ``nifti1.h``."""

STATISTICS = (*range(2, 25), 1001)
"""Intent codes of statistics, and of estimates."""


class Nifti(FlatFile):
    """A single-file NIfTI, optionally in gzip; the axes are x, y, z, time and components.

    Voxels are served as stored: neither scaled by ``scl_slope`` nor rotated by the affine. The
    voxel size is that of ``pixdim``, if the header states its unit. The position is that of the
    affine: ``sform``, or else ``qform``.
    """

    name = "nifti"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(("nii", "nii.gz"), "a NIfTI file")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the header has NIfTI's size and magic string."""
        head = head_of(path, SECOND[0])
        return _has(head, FIRST) or _has(head, SECOND)

    def _header(self, file: IO[bytes]) -> Header:
        with registry.needed(self.name):
            import nibabel
        second = _has(file.read(SECOND[0]), SECOND)
        kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
        file.seek(0)
        header = kind.from_fileobj(file)
        shape = header.get_data_shape()
        names = [*AXES, *[""] * len(shape)][: len(shape)]
        axes = axes_of(names, shape, self.path, self.part, x_first=True)
        flat = Flat.in_array(
            self.path,
            shape,
            axes,
            header.get_data_dtype(),
            header.get_data_offset(),
            x_first=True,
        )
        zooms = header.get_zooms()
        unit = nanometres(header.get_xyzt_units()[0])
        # A single section has no size along z.
        lengths = [round(float(zooms[axis]), 6) for axis in axes.zyx]
        stated = sizes(lengths, unit) if len(lengths) == 3 else None
        position = _position(header) if tuple(axes.zyx) == (2, 1, 0) else None
        kind = _kind(int(header["intent_code"]))
        return Header(flat, stated, position, lengths=axes.lengths, kind=kind)


def _position(header: Any) -> Position | None:
    """Return the position in the affine, which the header has if one of its codes is not 0."""
    form = next((form for form in ("sform", "qform") if header[f"{form}_code"] > 0), None)
    if form is None:
        return None
    affine = header.get_sform() if form == "sform" else header.get_qform()
    return index_position(affine[:3, 3], affine[:3, :3].T, form)


def _kind(intent: int) -> Stated | None:
    """Return the kind that ``intent_code`` states: ids in a table, or results of statistics."""
    if intent in LABELS:
        return "segmentation", f"intent_code {intent}"
    return ("image", f"intent_code {intent}") if intent in STATISTICS else None


def _has(head: bytes, form: tuple[int, int, bytes]) -> bool:
    size, at, magic = form
    starts = (size.to_bytes(4, "little"), size.to_bytes(4, "big"))
    return head.startswith(starts) and head[at : at + len(magic)] == magic
