"""TIFF: a volume in one file, in pages, strips or tiles, with or without a pyramid."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
import tifffile
from typing_extensions import override

from bfly.errors import Busy, SourceChanged, SourceError
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.images import naming
from bfly.sources.shared.tiff_pages import MAGICS, check_chain, is_palette
from bfly.sources.shared.written_levels import written_levels
from bfly.sources.source import Datasource
from bfly.sources.tiff.axes import lengths_of, sections_of, volume_of
from bfly.sources.tiff.level import Paged, level_of
from bfly.sources.tiff.voxel_size import check_description, voxel_size
from bfly.storage.files import regular, stamp_of
from bfly.storage.limits import LEVELS, check_number, in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from bfly.geometry import BoundingBox
    from bfly.storage.files import Files, Stamp
    from bfly.storage.part import Part

__all__ = ["Tiff", "has_sections"]

REMEMBERED = 4096
"""Files whose first image is remembered during a scan."""

ALIKE = ("dtype", "photometric", "samplesperpixel")
"""Properties that the pages of all levels of a pyramid have in common."""


class Tiff(Datasource):
    """A TIFF or BigTIFF file; its first image is the volume, with pages as sections.

    OME-TIFF and ImageJ hyperstacks state their axes. z is the axis Z, or else an axis without a
    name; channels, times and other named axes select the volume. Pyramid levels are SubIFDs, or
    further images of halved sizes (see `bfly.sources.mips`). Colours follow the rule of
    `bfly.sources.shared.images`.
    """

    name = "tiff"
    has_parts = True
    marks = ()

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the first bytes are those of a TIFF."""
        try:
            with regular(path) as file:
                return file.read(4) in MAGICS
        except OSError:
            return False

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes along axes of channels, time and other names."""
        return parts_along(_first_image(path, stamp_of(path)).lengths, path)

    def _open(self) -> None:
        self._watch(self.path)
        self._stamp = stamp_of(self.path)
        try:
            with self.files.file(self.path) as file, naming(self.path):
                self._read_structure(file)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        self.dtype = self._levels[0].dtype

    def _read_structure(self, file: IO[bytes]) -> None:
        with _structure(file, self.path) as tiff:
            if not tiff.series:
                raise SourceError(f"{self.path} has no image.")
            labels = self._kind == "segmentation"
            pyramid = _pyramid(tiff.series)
            page = pyramid[0].keyframe
            colours = page.samplesperpixel - len(page.extrasamples) == 3
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


@contextmanager
def _structure(file: IO[bytes], path: str) -> Iterator[tifffile.TiffFile]:
    """Open the structure of a file, after checks that it is whole and not too large."""
    # References of an OME-TIFF to other files are not followed.
    with tifffile.TiffFile(in_pieces(file, path), _multifile=False) as tiff:
        check_chain(tiff, path)
        check_description(tiff, path)
        yield tiff


def _pyramid(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the first image and those that may be coarser levels of it: alike, and smaller."""
    first, *others = series
    page = first.keyframe

    def is_like(other: tifffile.TiffPage) -> bool:
        smaller = other.imagelength < page.imagelength and other.imagewidth < page.imagewidth
        alike = all(getattr(other, name) == getattr(page, name) for name in ALIKE)
        return smaller and alike

    volumes = lengths_of(first)
    similar = (other for other in others if is_like(other.keyframe))
    return [*first.levels, *(other for other in similar if lengths_of(other) == volumes)]


def has_sections(path: str) -> bool:
    """Return whether a file is a TIFF of several sections, not counting smaller images."""
    if not Tiff.guess_can_open(path):
        return False
    try:
        return _first_image(path, stamp_of(path)).sections > 1
    except Busy:
        raise
    except Exception:  # tifffile may raise anything on damage; opening the file reports it
        return False


class _Image(NamedTuple):
    """Sections of the first image of a file, and its axes that select a volume."""

    sections: int
    lengths: Mapping[str, int]


@lru_cache(REMEMBERED)
def _first_image(path: str, _stamp: Stamp) -> _Image:
    """Describe the first image of a file; a scan asks twice."""
    with regular(path) as file, _structure(file, path) as tiff:
        if not tiff.series:
            raise SourceError(f"{path} has no image.")
        series = tiff.series[0]
        try:
            lengths = volume_of(series, path).axes.lengths
        except SourceError:
            lengths = {}
        return _Image(sections_of(series), lengths)
