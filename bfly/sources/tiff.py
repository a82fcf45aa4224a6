"""TIFF: a volume in one file, in pages, strips or tiles, with or without a pyramid."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import tifffile

from bfly.errors import SourceChanged, SourceError
from bfly.files import stamp_of
from bfly.geometry import Scale
from bfly.sources.images import naming
from bfly.sources.source import Datasource
from bfly.sources.tiff_level import Paged, level_of, sections_of
from bfly.sources.tiff_pages import MAGICS, check_chain
from bfly.sources.tiff_sizes import voxel_size

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from bfly.geometry import BoundingBox
    from bfly.sources.flat import Flat

__all__ = ["Tiff", "has_sections"]


class Tiff(Datasource):
    """A TIFF or BigTIFF file; its first image is the volume, of which pages are sections.

    OME-TIFF and ImageJ hyperstacks say what their pages are: z, or else time or whatever is
    longer than 1 is the third axis; a second such axis, and channels, are refused. A pyramid is
    SubIFDs, or further images of halved sizes. Colours follow the rule of `bfly.sources.images`.
    """

    name = "tiff"

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Tell by the first bytes."""
        try:
            with open(path, "rb") as file:
                return file.read(4) in MAGICS
        except OSError:
            return False

    def _open(self) -> None:
        self._watch(self.path)
        self._stamp = stamp_of(self.path)
        real = self.files.resolve(self.path)
        try:
            with open(real, "rb") as file, naming(self.path):
                self._read_structure(file)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        self.dtype = self._levels[0].dtype
        self.scales = {
            mip: Scale(level.shape, level.chunk) for mip, level in enumerate(self._levels)
        }

    def _read_structure(self, file: IO[bytes]) -> None:
        # What an OME-TIFF says of other files is not followed.
        with tifffile.TiffFile(file, _multifile=False) as tiff:
            check_chain(tiff)
            if not tiff.series:
                raise SourceError(f"{self.path} has no image.")
            labels = self._kind == "segmentation"
            self._levels = [level_of(tiff.series[0], self.path, labels=labels)]
            self._stated = voxel_size(tiff, self.path)

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        level: Flat | Paged = self._levels[mip]
        with self.files.open(self.path) as (fd, stamp):
            if stamp != self._stamp:
                raise SourceChanged(f"{self.path} changed on disk while it was read.")
            return level.read(fd, box)


def has_sections(path: str) -> bool:
    """Tell whether a file is a TIFF of more than one section, not counting what is smaller."""
    if not Tiff.guess_can_open(path):
        return False
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            return bool(tiff.series) and sections_of(tiff.series[0]) > 1
    except Exception:  # whatever tifffile raises on damage: opening the file says what it is
        return False
