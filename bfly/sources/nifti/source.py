"""NIfTI: ``.nii``, and ``.hdr`` with ``.img``, of NIfTI-1 and -2 and of ANALYZE 7.5."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly import registry
from bfly.errors import SourceError
from bfly.sources.nifti.forms import (
    ANALYZE,
    LONGEST,
    form_of,
    image_of,
    is_image,
    packing_by_name,
)
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

ENDINGS = tuple(f"{name}{packing}" for name in ("nii", "hdr") for packing in ("", ".gz", ".bz2"))

AXES = "xyztc"
"""The first five axes, as https://nifti.nimh.nih.gov defines them; the fifth holds the components
of a vector."""
LABELS = (1002, 1003)
"""Intent codes of labels and of NeuroNames, in ``nifti1.h``."""

STATISTICS = (*range(2, 25), 1001)
"""Intent codes of statistics, and of estimates."""


class Nifti(FlatFile):
    """A NIfTI or ANALYZE file or pair, optionally compressed; axes x, y, z, time, components.

    The path of a pair is that of either file; a scan lists the header. Voxels are served as
    stored: neither scaled by ``scl_slope`` nor rotated by the affine. The voxel size is that of
    ``pixdim``, if the header states its unit. The position is that of the affine: ``sform``, or
    else ``qform``.
    """

    name = "nifti"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = dict.fromkeys(ENDINGS, "a NIfTI file")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the header has NIfTI's size and magic string, or values of ANALYZE."""
        return form_of(head_of(image_of(path) if is_image(path) else path, LONGEST)) is not None

    @property
    @override
    def _head(self) -> str:
        return image_of(self.path) if is_image(self.path) else self.path

    def _header(self, file: IO[bytes]) -> Header:
        form = form_of(file.read(LONGEST))
        if form is None:
            raise SourceError(f"{self._head} is no header of NIfTI or ANALYZE.")
        with registry.needed(self.name):
            import nibabel
        file.seek(0)
        header = getattr(nibabel, form.image).header_class.from_fileobj(file)
        path = self._image() if form.is_pair else self._head
        shape = header.get_data_shape()
        names = [*AXES, *[""] * len(shape)][: len(shape)]
        axes = axes_of(names, shape, self.path, self.part, x_first=True)
        flat = Flat.in_array(
            path,
            shape,
            axes,
            header.get_data_dtype(),
            header.get_data_offset(),
            x_first=True,
        )
        zooms = header.get_zooms()
        is_nifti = form != ANALYZE
        unit = nanometres(header.get_xyzt_units()[0] if is_nifti else header["vox_units"].item())
        # A single section has no size along z.
        lengths = [round(float(zooms[axis]), 6) for axis in axes.zyx]
        stated = sizes(lengths, unit) if len(lengths) == 3 else None
        position = _position(header) if is_nifti and tuple(axes.zyx) == (2, 1, 0) else None
        kind = _kind(int(header["intent_code"])) if is_nifti else None
        packing = packing_by_name(path) if form.is_pair else None
        return Header(flat, stated, position, packing, 0, axes.lengths, kind)

    def _image(self) -> str:
        """Watch the file with the voxels of a pair, and return its path."""
        path = self.path if is_image(self.path) else image_of(self.path)
        self.files.resolve(path)
        self._watch(path)
        if self._stamps[path] is None:
            raise SourceError(f"{self.path}: its voxels should be in {path}, which does not exist.")
        return path


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
