"""A voxel size for the channels of a scan that state none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from bfly.discovery.opening import open_channel
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.config.tree import Channel, Experiment
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["with_size"]

log = logging.getLogger(__name__)

BELOW = ("samples", "datasets", "channels")


def with_size(
    experiments: Iterable[Experiment], size: VoxelSize, files: Files
) -> tuple[Experiment, ...]:
    """Return experiments in which each channel without a voxel size has this one.

    Every channel is opened for it. One that cannot be opened is unchanged: what it states is
    unknown.

    Parameters
    ----------
    experiments : iterable of Experiment
        As `scan` finds them.
    size : tuple of float
        Nanometres (z, y, x).
    files : Files
        Access to the files.
    """

    def sized(item: Any, below: Sequence[str]) -> Any:
        if below:
            items = tuple(sized(inner, below[1:]) for inner in getattr(item, below[0]))
            return item.model_copy(update={below[0]: items})
        return item.model_copy(update={"voxel_size": size}) if _is_unsized(item, files) else item

    return tuple(sized(experiment, BELOW) for experiment in experiments)


def _is_unsized(channel: Channel, files: Files) -> bool:
    """Return whether neither the channel nor its files state a voxel size."""
    if channel.voxel_size is not None:
        return False
    try:
        source = open_channel(channel, files)
        return source is not None and source.voxel_size is None
    except ButterflyError as error:
        log.warning("%s has no voxel size from --voxel-size: %s", channel.name, error)
        return False
