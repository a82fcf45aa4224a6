"""A request for the properties of a dataset as a whole."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from bfly.errors import Absent, SourceError
from bfly.geometry import BoundingBox
from bfly.queries.info import InfoQuery
from bfly.volumes.volume import DEFAULT_VOXEL_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DatasetQuery"]


class DatasetQuery(InfoQuery):
    """A request that needs all channels of a dataset to be open."""

    method = "project_info"
    lasting = False

    def dump_dataset(self, all_channels: Iterable[InfoQuery]) -> str:
        """Return the answer in the requested format.

        Raises
        ------
        Absent
            The dataset has no channels.
        SourceError
            None of its channels can be used.
        """
        self.known = list(all_channels)
        if not self.channels:
            raise Absent(f"There is no channel in {self.dataset}.")
        if not self.known:
            raise SourceError(f"No channel of {self.dataset} can be used; the log says why.")
        return self._text(self.result)

    @property
    def levels(self) -> int:
        """Number of mips of the channel that has the most."""
        return max(channel.volume.levels for channel in self.known)

    @property
    def grid(self) -> tuple[float, float, float]:
        """Voxel size of mip 0 in nanometres, zyx; all channels share one grid."""
        stated = (channel.volume.source.voxel_size for channel in self.known)
        return next(filter(None, stated), DEFAULT_VOXEL_SIZE)

    def extent(self, mip: int) -> BoundingBox:
        """Return the smallest box around all channels, in voxels of the mip."""
        levels = [channel.volume.level(mip) for channel in self.known]
        return reduce(BoundingBox.joined, (level.place for level in levels))
