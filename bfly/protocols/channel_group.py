"""Channels of one file together, at an address of their own: ``NAME-all``.

A scan makes one channel for each channel of a file (see `bfly.storage.part`). Viewers that mix
colours, and readers of affinities, need all of them as one volume with an axis of channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.config.addresses import GROUP
from bfly.protocols.protocol import channel_words, dataset_named
from bfly.storage.part import Part, split_path

if TYPE_CHECKING:
    from bfly.config.config import Config
    from bfly.config.tree import Channel

__all__ = ["channel_group"]


def channel_group(config: Config, token: str, name: str) -> list[Channel]:
    """Return the channels of a group, in the order of their places on the axis c.

    Parameters
    ----------
    config : Config
        The served channels.
    token : str
        ``experiment::sample::dataset``.
    name : str
        Name in an address.

    Returns
    -------
    list of Channel
        Empty unless the name is that of a group: a channel of that name goes first. All have the
        same file, the same places on other axes, and the same configuration but for the path.

    Raises
    ------
    Absent, BadRequest
        As `dataset_named`.
    """
    if not name.endswith(GROUP):
        return []
    channels = {channel.name: channel for channel in dataset_named(config, token).channels}
    named = channels.get(name.removesuffix(GROUP))
    if named is None or name in channels:
        return []
    file, part = split_path(named.path)
    words = {**channel_words(named), "path": _beside(part)}
    found: dict[int, Channel] = {}
    for channel in channels.values():
        if channel.path == file or channel.path.startswith(f"{file}#"):
            own = Part.parse(channel.path[len(file) + 1 :])
            place = own.of_axis("c") or "0"
            if place.isdecimal() and {**channel_words(channel), "path": _beside(own)} == words:
                found.setdefault(int(place), channel)
    return [found[place] for place in sorted(found)] if len(found) > 1 else []


def _beside(part: Part) -> tuple[str, dict[str, str]]:
    """Return all of a part but its place on the axis c."""
    return part.dataset, {axis: at for axis, at in part.indexes if axis != "c" and at != "0"}
