"""A region: some voxels of a mip of an open channel, as everything below a query sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.volumes.level import Level
    from bfly.volumes.volume import Volume

__all__ = ["Region"]


@dataclass(frozen=True, slots=True)
class Region:
    """A box of voxels, made once for each request when its channel is known.

    Parameters
    ----------
    volume : Volume
        The open channel.
    level : Level
        The mip.
    box : BoundingBox
        Voxels of the mip, counted in the dataset: a channel with an offset starts elsewhere. It
        may leave the volume.
    edits : EditState, optional
        The edits that count, if they change any label.
    """

    volume: Volume
    level: Level
    box: BoundingBox
    edits: EditState | None = None

    @classmethod
    def of(
        cls, volume: Volume, mip: int, box: BoundingBox, state: EditState | None = None
    ) -> Region:
        """Return the region of a mip; a state that changes no label does not count."""
        return cls(
            volume, volume.level(mip), box, state if state and state.changes_labels else None
        )

    def part(self, box: BoundingBox) -> Region:
        """Return another box of the same mip, with the same edits."""
        return Region(self.volume, self.level, box, self.edits)

    def at(self, mip: int, box: BoundingBox) -> Region:
        """Return a box of any mip of the channel, as it is stored: without edits."""
        return Region(self.volume, self.volume.level(mip), box)

    @property
    def local(self) -> BoundingBox:
        """The box, counted from the channel's first voxel."""
        return self.box.relative_to(self.level.origin)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the voxels."""
        return self.volume.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels."""
        return self.box.size * self.volume.dtype.itemsize
