"""TIFF: a volume in one file, in pages, strips or tiles, with or without a pyramid."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np
import tifffile
from typing_extensions import override

from bfly.errors import Busy, SourceChanged, SourceError
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.images import naming
from bfly.sources.shared.tiff_pages import MAGICS, check_chain, is_palette
from bfly.sources.source import Datasource
from bfly.sources.tiff.level import Paged, level_of, sections_of
from bfly.sources.tiff.voxel_size import check_description, voxel_size
from bfly.storage.files import regular, stamp_of
from bfly.storage.limits import LEVELS, check_number, in_pieces

if TYPE_CHECKING:
    from typing import Any

    from bfly.geometry import BoundingBox

__all__ = ["Tiff", "has_sections"]

ALIKE = ("dtype", "photometric", "samplesperpixel")
"""Properties that the pages of all levels of a pyramid have in common."""


class Tiff(Datasource):
    """A TIFF or BigTIFF file; its first image is the volume, with pages as sections.

    OME-TIFF and ImageJ hyperstacks state their axes. The third axis is z, or else time or any
    other axis longer than 1. A second such axis, and channels, are refused. Pyramid levels are
    SubIFDs, or further images of halved sizes (see `bfly.sources.mips`). Colours follow the rule
    of `bfly.sources.shared.images`.
    """

    name = "tiff"
    marks = ()

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the first bytes are those of a TIFF."""
        try:
            with regular(path) as file:
                return file.read(4) in MAGICS
        except OSError:
            return False

    def _open(self) -> None:
        self._watch(self.path)
        self._stamp = stamp_of(self.path)
        try:
            with self.files.file(self.path) as file, naming(self.path):
                self._read_structure(in_pieces(file, self.path))
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        self.dtype = self._levels[0].dtype

    def _read_structure(self, file: IO[bytes]) -> None:
        # References of an OME-TIFF to other files are not followed.
        with tifffile.TiffFile(file, _multifile=False) as tiff:
            check_chain(tiff, self.path)
            check_description(tiff, self.path)
            if not tiff.series:
                raise SourceError(f"{self.path} has no image.")
            labels = self._kind == "segmentation"
            pyramid = _pyramid(tiff.series)
            page = pyramid[0].keyframe
            colours = page.samplesperpixel - len(page.extrasamples) == 3
            self._has_colours = colours or is_palette(page)
            check_number(self.path, len(pyramid), LEVELS, "levels")
            levels = {
                f"image {number}": level_of(series, self.path, self.files.max_chunk, labels=labels)
                for number, series in enumerate(pyramid)
            }
            stored = {name: StoredLevel(level.shape, level.chunk) for name, level in levels.items()}
            mips = ladder(self.path, stored)
            self.scales = {mip: scale for mip, (_, scale) in mips.items()}
            self._levels: dict[int, Flat | Paged] = {mip: levels[n] for mip, (n, _) in mips.items()}
            self._stated = voxel_size(tiff)

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


def _pyramid(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the first image and those that may be coarser levels of it: alike, and smaller."""
    first, *others = series
    page = first.keyframe

    def is_like(other: tifffile.TiffPage) -> bool:
        smaller = other.imagelength < page.imagelength and other.imagewidth < page.imagewidth
        alike = all(getattr(other, name) == getattr(page, name) for name in ALIKE)
        return smaller and alike

    return [*first.levels, *(other for other in others if is_like(other.keyframe))]


def has_sections(path: str) -> bool:
    """Return whether a file is a TIFF of several sections, not counting smaller images."""
    if not Tiff.guess_can_open(path):
        return False
    try:
        with (
            regular(path) as file,
            tifffile.TiffFile(in_pieces(file, path), _multifile=False) as tiff,
        ):
            check_chain(tiff, path)
            check_description(tiff, path)
            return bool(tiff.series) and sections_of(tiff.series[0]) > 1
    except Busy:
        raise
    except Exception:  # tifffile may raise anything on damage; opening the file reports it
        return False
