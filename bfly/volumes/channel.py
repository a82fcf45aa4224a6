"""What names a channel: its files, its place, and what the configuration says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["ChannelSpec"]


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A channel before it is opened.

    Parameters
    ----------
    path : str
        Its file, folder or URL.
    offset : tuple of int
        By how many voxels of mip 0 (z, y, x) it is moved.
    kind : {"image", "segmentation"}, optional
        What the configuration says that its voxels mean.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), as the configuration says.
    unmoved : bool
        Whether rows and columns are counted from its first voxel, whatever its offset.
    """

    path: str
    offset: Zyx = (0, 0, 0)
    kind: str | None = None
    voxel_size: tuple[float, float, float] | None = None
    unmoved: bool = False

    @property
    def key(self) -> str:
        """The name of the channel among all channels, in the cache."""
        return f"{self.path}@{self.offset}/{self.unmoved}/{self.kind}/{self.voxel_size}"
