"""A channel as the checks see it."""

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
    """An open channel, with what commands call it.

    Parameters
    ----------
    name : str
        As commands take it.
    experiments : str
        What they take for ``-e``; empty where that is the user's own configuration.
    volume : Volume
        The open channel.
    """

    name: str
    experiments: str
    volume: Volume

    @property
    def source(self) -> Datasource:
        """What is read from."""
        return self.volume.source

    @cached_property
    def samples(self) -> list[VoxelSample]:
        """The tiles that are looked at (see `samples_of`), read when first asked for."""
        return samples_of(self.source)

    @cached_property
    def values(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The values that occur in those that could be read, sorted."""
        seen = [np.unique(each.voxels) for each in self.samples if each.voxels is not None]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, self.source.dtype)
