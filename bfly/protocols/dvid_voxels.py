"""Boxes and sections of voxels as DVID's clients ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.unsigned import as_unsigned
from bfly.errors import BadRequest
from bfly.protocols.dvid_instances import check_scale, sent_dtype
from bfly.queries.data import BoxQuery
from bfly.queries.slice import PLANES, SliceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["SectionQuery", "VolumeQuery", "as_sent"]


def as_sent(voxels: Voxels, dtype: str, path: str) -> Voxels:
    """Return voxels in the dtype of `sent_dtype`; a negative label is a `BadRequest`."""
    if voxels.dtype.kind == "i":
        voxels = as_unsigned(voxels, f"{path} is sent as DVID, which")
    return voxels.astype(dtype, copy=False)


class VolumeQuery(BoxQuery):
    """A request for a box; voxels outside the volume are 0."""

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        Absent
            There is no such scale, or the dtype of the image is none of DVID's.
        BadRequest
            Labels are requested as a picture, or an image in a compression of labels.
        """
        super().update_source(keywords)
        check_scale(self.volume, self.resolution)
        self.sent = sent_dtype(self.volume)
        self.plain = self.sent == self.dtype.name
        is_image = self.volume.kind == "image"
        if not is_image and self.view == "grayscale" and self.format in ("jpeg", "png"):
            raise BadRequest(f"{self.path} has labels: there is no {self.format} of them.")
        if is_image and self.format == "compressed_segmentation":
            raise BadRequest(f"{self.path} is an image: google is a compression of labels.")

    @override
    def _memory(self, voxels: int, copied: int, part: int | None = None) -> int:
        wider = max(1, np.dtype(self.sent).itemsize // self.dtype.itemsize)
        return super()._memory(voxels, copied, part) * wider

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Return the voxels in the dtype that is sent."""
        return as_sent(super().arranged(voxels), self.sent, self.path)


class SectionQuery(VolumeQuery, SliceQuery):
    """A request for a section in any of the three planes, as a picture.

    Parameters
    ----------
    isotropic : bool
        Whether rows or columns are repeated so that pixels are square: the picture has the
        size asked for, and shows less along the axis whose voxels are longer.
    **keywords
        Keywords of `SliceQuery`.
    """

    def __init__(self, isotropic: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._asked = self.shape if isotropic else None

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        self.plain = False
        if self._asked is None:
            return
        size, shape = self.volume.voxel_size_at(self.resolution), list(self._asked)
        _, *axes = PLANES[self.plane]
        least = min(size[axis] for axis in axes)
        for axis in axes:
            shape[axis] = max(1, int(shape[axis] * least / size[axis] + 0.5))
        self.depth, self.height, self.width = shape

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Return sections, rows and columns of the plane, repeated if pixels are to be square."""
        pixels = super().arranged(voxels)
        if self._asked is not None:
            for axis, asked in enumerate(self.arranged_shape):
                if asked != (there := pixels.shape[axis]):
                    pixels = pixels.take(np.arange(asked) * there // asked, axis)
        return pixels

    @property
    @override
    def arranged_shape(self) -> Zyx:
        if self._asked is None:
            return super().arranged_shape
        z, y, x = (self._asked[axis] for axis in self.axes)
        return z, y, x
