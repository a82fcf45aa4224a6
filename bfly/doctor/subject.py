"""The input of the checks: an open channel and its sample tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.doctor.sample import samples_of

if TYPE_CHECKING:
    from bfly.doctor.sample import VoxelSample
    from bfly.sources.source import Datasource
    from bfly.volumes.volume import Volume

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """An open channel, with its name in commands.

    Parameters
    ----------
    name : str
        Name of the channel in commands.
    experiments : str
        Argument of ``-e`` in commands; empty for the user's own configuration.
    volume : Volume
        The open channel.
    """

    name: str
    experiments: str
    volume: Volume

    @property
    def source(self) -> Datasource:
        """Source of the channel."""
        return self.volume.source

    @cached_property
    def samples(self) -> list[VoxelSample]:
        """Sample tiles (see `samples_of`), read on first access."""
        return samples_of(self.source)

    @cached_property
    def values(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Distinct values of the readable sample tiles, sorted."""
        seen = [np.unique(tile.voxels) for tile in self.samples if tile.voxels is not None]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, self.source.dtype)
