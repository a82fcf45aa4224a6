"""Opening of a channel that a scan found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.sources.shared.net import can_open, opened
from bfly.sources.tile_source import formats
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from bfly.config.tree import Channel
    from bfly.sources.source import Datasource
    from bfly.storage.files import Files

__all__ = ["open_channel"]


def open_channel(channel: Channel, files: Files) -> Datasource | None:
    """Open a channel as it is served; return None if no format recognises its path.

    Raises
    ------
    ButterflyError
        As `bfly.sources.shared.net.opened`.
    """
    path, part = split_path(channel.path)
    source = next((each for each in formats().values() if can_open(each, path)), None)
    options = {"part": part, "kind": channel.kind, "voxel_size": channel.voxel_size}
    return None if source is None else opened(source, path, files=files, **options)
