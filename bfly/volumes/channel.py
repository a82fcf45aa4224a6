"""Specification of a channel: its path, its offset and its configuration."""

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
    offset : tuple of int
        Shift of the channel (z, y, x), in voxels of mip 0.
    kind : {"image", "segmentation"}, optional
        Kind of voxels that the configuration states.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), if the configuration states them.
    unmoved : bool
        Whether rows and columns start at the channel's first voxel, whatever its offset.
    """

    path: str
    offset: Zyx = (0, 0, 0)
    kind: str | None = None
    voxel_size: tuple[float, float, float] | None = None
    unmoved: bool = False

    @property
    def key(self) -> str:
        """Name of the channel in the cache, unique among all channels."""
        return f"{self.path}@{self.offset}/{self.unmoved}/{self.kind}/{self.voxel_size}"
