"""NIfTI: ``.nii`` and ``.nii.gz`` of NIfTI-1 and -2."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

from bfly import registry
from bfly.geometry import zyx
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.single_file import FlatFile, Header, head_of, singletons
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.sources.kinds.stated import Stated

__all__ = ["Nifti"]

FIRST, SECOND = (348, 344, b"n+1\0"), (540, 4, b"n+2\0\r\n\x1a\n")
"""Header size, offset of the magic string, and that string: NIfTI-1 and -2."""

LABELS = (1002, 1003)
"""Intent codes of labels and of NeuroNames, in ``nifti1.h``."""

STATISTICS = (*range(2, 25), 1001)
"""Intent codes of statistics, and of estimates."""


class Nifti(FlatFile):
    """A single-file NIfTI, optionally in gzip; x is the fastest axis.

    Voxels are served as stored: neither scaled by ``scl_slope`` nor rotated by the affine. The
    voxel size is that of ``pixdim``, if the header states its unit.
    """

    name = "nifti"
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
        x, y, z = singletons(shape, self.path)
        flat = Flat(
            self.path,
            zyx(shape[axis] for axis in (z, y, x)),
            header.get_data_dtype(),
            header.get_data_offset(),
        )
        zooms = header.get_zooms()
        unit = nanometres(header.get_xyzt_units()[0])
        size = sizes((round(float(zooms[axis]), 6) for axis in (z, y, x)), unit)
        return Header(flat, size, kind=_kind(int(header["intent_code"])))


def _kind(intent: int) -> Stated | None:
    """Return the kind that ``intent_code`` states: ids in a table, or results of statistics."""
    if intent in LABELS:
        return "segmentation", f"intent_code {intent}"
    return ("image", f"intent_code {intent}") if intent in STATISTICS else None


def _has(head: bytes, form: tuple[int, int, bytes]) -> bool:
    size, at, magic = form
    starts = (size.to_bytes(4, "little"), size.to_bytes(4, "big"))
    return head.startswith(starts) and head[at : at + len(magic)] == magic
