"""One volume in the list of an HDF5 file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.sources.hdf5.axes import axes_of
from bfly.sources.shared.axes import places_along
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from bfly.sources.mips import VoxelSize

__all__ = ["PARTS", "Entry", "parts_of"]

log = logging.getLogger(__name__)

PARTS = 1000
"""Maximum number of channels of one file in a scan."""

Indexes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """A volume of one or several datasets.

    Parameters
    ----------
    name : str
        Path of the dataset, or of the group of several.
    pieces : tuple of str
        Datasets of mip 0, which continue along z; by default `name`.
    levels : tuple of str
        Datasets of the coarser levels.
    ratios : tuple of VoxelSize
        How many voxels of mip 0 (z, y, x) one of each level is; empty if that follows from the
        shapes.
    setup : int, optional
        Number of the setup of BigDataViewer.
    places : tuple
        Places on axes that are not z, y or x (see `places_along`), one for each channel that the
        volume is, at most `PARTS`.
    """

    name: str
    pieces: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    ratios: tuple[VoxelSize, ...] = ()
    setup: int | None = None
    places: Sequence[Indexes] = ((),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", self.pieces or (self.name,))

    @classmethod
    def of(cls, name: str, dataset: Any, path: str) -> Self:
        """Return a dataset as a volume, with the places on its axes.

        Parameters
        ----------
        name : str
            The name of the volume.
        dataset : h5py.Dataset
            The dataset, open.
        path : str
            Names the file in the log.
        """
        try:
            places = tuple(islice(places_along(axes_of(dataset, path).others), PARTS))
        except SourceError:
            # The channel is listed all the same: what opens it is told the reason.
            places = ((),)
        return cls(name, places=places)


def parts_of(path: str, listed: Sequence[Entry]) -> list[Part]:
    """Return the parts of a file, at most `PARTS`: one or several for each volume.

    Parameters
    ----------
    path : str
        The file in the log, which reports parts that are left out.
    listed : sequence of Entry
        Its volumes, the default one first.
    """
    parts: list[Part] = []
    for number, entry in enumerate(listed):
        for place in entry.places:
            part = Part(entry.name if number else "", place)
            if Part.parse(str(part)) != part or "#" in str(part):
                log.warning("%s: %s cannot be named in a path; rename it.", path, entry.name)
            elif len(parts) == PARTS:
                log.warning("%s has more than %d volumes; the first are listed.", path, PARTS)
                return parts
            else:
                parts.append(part)
    return parts
