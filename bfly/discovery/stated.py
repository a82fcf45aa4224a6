"""Channels of a scan with what is known of them: written to a configuration, to be edited."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from bfly.discovery.opening import open_channel
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.config.config import Config
    from bfly.config.tree import Channel
    from bfly.sources.mips import VoxelSize
    from bfly.sources.source import Datasource
    from bfly.storage.files import Files

__all__ = ["with_facts", "with_size"]

log = logging.getLogger(__name__)

BELOW = ("experiments", "samples", "datasets", "channels")


def with_size(config: Config, size: VoxelSize, files: Files) -> Config:
    """Return a configuration in which each channel without a voxel size has this one.

    Every channel is opened for it. One that cannot be opened is unchanged: what it states is
    unknown.

    Parameters
    ----------
    config : Config
        A configuration.
    size : tuple of float
        Nanometres (z, y, x).
    files : Files
        Access to the files.
    """

    def changes(source: Datasource) -> dict[str, Any]:
        return {"voxel_size": size} if source.voxel_size is None else {}

    return _changed(config, changes, files)


def with_facts(config: Config, files: Files) -> Config:
    """Return a configuration that states the kind and the voxel size of each channel.

    A voxel size that is not known stays unstated. Channels that cannot be opened are unchanged.

    Parameters
    ----------
    config, files
        As for `with_size`.
    """

    def changes(source: Datasource) -> dict[str, Any]:
        return {"kind": source.kind, "voxel_size": source.voxel_size}

    return _changed(config, changes, files)


def _changed(
    config: Config, changes: Callable[[Datasource], dict[str, Any]], files: Files
) -> Config:
    """Return a configuration with changes to each channel, by its open source."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Opening channels", total=len(config.channels))

        def changed(item: Any, below: Sequence[str]) -> Any:
            if below:
                items = tuple(changed(inner, below[1:]) for inner in getattr(item, below[0]))
                return item.model_copy(update={below[0]: items})
            source = _opened(item, files)
            progress.advance(task)
            return item if source is None else item.model_copy(update=changes(source))

        experiments = tuple(changed(each, BELOW[1:]) for each in config.experiments)
    return config.replace(experiments=experiments)


def _opened(channel: Channel, files: Files) -> Datasource | None:
    """Open the source of a channel as it is served; None if that fails, which is logged."""
    try:
        return open_channel(channel, files)
    except ButterflyError as error:
        log.warning("%s cannot be opened, so its facts are not stated: %s", channel.name, error)
    return None
