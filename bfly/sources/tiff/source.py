"""TIFF: a volume in one file, in pages, strips or tiles, with or without a pyramid."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from bfly.errors import Busy, SourceChanged, SourceError
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.images import naming
from bfly.sources.shared.tiff_images import sample_parts
from bfly.sources.shared.tiff_pages import (
    count_grey,
    is_palette,
    is_section,
    is_tiff,
    name_of,
    remarks,
)
from bfly.sources.shared.written_levels import written_levels
from bfly.sources.source import Datasource
from bfly.sources.tiff.level import Paged, level_of
from bfly.sources.tiff.structure import first_image, pyramid_of, structure
from bfly.sources.tiff.voxel_size import voxel_size
from bfly.storage.files import regular, stamp_of
from bfly.storage.limits import LEVELS, check_number
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import tifffile

    from bfly.geometry import BoundingBox
    from bfly.storage.files import Files

__all__ = ["Tiff", "has_sections"]

log = logging.getLogger(__name__)


class Tiff(Datasource):
    """A TIFF or BigTIFF file; its first image is the volume, with pages as sections.

    OME-TIFF and ImageJ hyperstacks state their axes. z is the axis Z, or else an axis without a
    name; channels, times and other named axes select the volume. Pyramid levels are SubIFDs, or
    further images of halved sizes (see `bfly.sources.mips`). Colours follow the rule of
    `bfly.sources.shared.images`; each of several grey samples is a volume, ``s=0``.
    """

    name = "tiff"
    has_parts = True
    marks = ()
    endings: ClassVar[Mapping[str, str]] = {"lsm": "a TIFF of Zeiss"}

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the first bytes are those of a TIFF."""
        try:
            with regular(path) as file:
                return is_tiff(file.read(4))
        except OSError:
            return False

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes along axes of channels, time and other names, and of grey samples."""
        image = first_image(path, stamp_of(path))
        indexes = [part.indexes for part in sample_parts(image.samples, path)]
        parts = parts_along(image.lengths, path)
        return [Part("", (*part.indexes, *more)) for part in parts for more in indexes]

    def _open(self) -> None:
        self._watch(self.path)
        self._stamp = stamp_of(self.path)
        try:
            with self.files.file(self.path) as file, naming(self.path):
                self._read_structure(file)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        self.dtype, self._stored_dtype = self._levels[0].dtype, self._levels[0].stored

    def _read_structure(self, file: IO[bytes]) -> None:
        with structure(file, self.path) as (tiff, images):
            labels = self._kind == "segmentation"
            pyramid = pyramid_of(images)
            page = pyramid[0].keyframe
            samples = page.samplesperpixel - len(page.extrasamples)
            colours = samples == 3 and count_grey(page) == 1
            self._has_colours = colours or is_palette(page)
            check_number(self.path, len(pyramid), LEVELS, "levels")
            limit = self.files.max_chunk
            levels = {
                f"image {number}": level_of(series, self.path, limit, labels=labels, part=self.part)
                for number, series in enumerate(pyramid)
            }
            states = {
                name: isinstance(level, Flat) or level.is_written for name, level in levels.items()
            }
            stored = {
                name: StoredLevel(levels[name].shape, levels[name].chunk)
                for name in written_levels(self.path, "strips or tiles", states)
            }
            self._say(images, pyramid)
            mips = ladder(self.path, stored)
            self.scales = {mip: scale for mip, (_, scale) in mips.items()}
            self._levels: dict[int, Flat | Paged] = {mip: levels[n] for mip, (n, _) in mips.items()}
            self._stated = voxel_size(tiff)

    def _say(
        self, images: list[tifffile.TiffPageSeries], pyramid: list[tifffile.TiffPageSeries]
    ) -> None:
        """Log what the voxels do not show: inverted greys, and images that are left out."""
        for remark in remarks(images[0].keyframe):
            log.warning("%s %s.", self.path, remark)
        used = set(map(id, pyramid))
        for image in images:
            if id(image) not in used and is_section(image.keyframe):
                log.warning(
                    "%s: page %d is no section of the volume and is left out: %s.",
                    self.path,
                    image.keyframe.index,
                    name_of(image.keyframe),
                )

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Return `Flat.reads_at_once`; decoded strips and tiles are cached instead."""
        level = self._levels[mip]
        return isinstance(level, Flat) and level.reads_at_once(box)

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(mip, box, voxels)
        return voxels

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        with self.files.open(self.path) as (fd, stamp):
            if stamp != self._stamp:
                raise SourceChanged(f"{self.path} changed on disk while it was read.")
            self._levels[mip].read_into(fd, box, voxels)


def has_sections(path: str) -> bool:
    """Return whether a file is a TIFF of several sections, not counting smaller images."""
    if not Tiff.guess_can_open(path):
        return False
    try:
        return first_image(path, stamp_of(path)).sections > 1
    except Busy:
        raise
    except Exception:  # tifffile may raise anything on damage; opening the file reports it
        return False
