"""Specification of a channel: its path, its place and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["ChannelSpec"]


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """Specification of a channel that is not open yet.

    Parameters
    ----------
    path : str
        File, folder or URL.
    voxel_offset : tuple of int
        Position of the first voxel (z, y, x), in voxels of mip 0. If the file states a position
        too, they are added.
    kind : {"image", "segmentation"}, optional
        Kind of voxels that the configuration states.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), if the configuration states them.
    unmoved : bool
        Whether rows and columns start at the channel's first voxel, whatever its position.
    """

    path: str
    voxel_offset: Zyx = (0, 0, 0)
    kind: str | None = None
    voxel_size: tuple[float, float, float] | None = None
    unmoved: bool = False

    @property
    def key(self) -> str:
        """Name of the channel in the cache, unique among all channels."""
        return f"{self.path}@{self.voxel_offset}/{self.unmoved}/{self.kind}/{self.voxel_size}"
