"""The command that imports a merge table, which a scan found beside a segmentation."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from bfly.discovery.opening import open_channel
from bfly.errors import ButterflyError
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.config.tree import Channel, Dataset
    from bfly.storage.files import Files

__all__ = ["merge_commands"]

SUPERVOXELS = ("fragment", "supervoxel")
"""Words in the name of the segmentation that a table is about, if there are several."""

LISTED = 100
"""Merge tables whose commands a scan lists: the channels of each are opened."""

UNKNOWN = "CHANNEL"
"""Placeholder for the channel, if it is not known."""


def merge_commands(
    folder: str, merges: Sequence[tuple[str, str]], datasets: Sequence[Dataset], files: Files
) -> list[tuple[str, str]]:
    """Return the command for each of the first `LISTED` merge tables.

    It has the only segmentation of the file, or the only one of several that is named as one of
    supervoxels; or else a placeholder.

    Parameters
    ----------
    folder : str
        The folder that is served.
    merges : sequence of tuple of str
        Each table, as the command reads it, and the file or folder with the segmentation.
    datasets : sequence of Dataset
        All datasets.
    files : Files
        Access to the files.

    Returns
    -------
    list of tuple of str
        The tables and their commands.
    """
    if not merges:
        return []
    channels: dict[str, list[tuple[Dataset, Channel]]] = defaultdict(list)
    times: Counter[str] = Counter()
    for dataset in datasets:
        for channel in dataset.channels:
            channels[split_path(channel.path)[0]].append((dataset, channel))
            times[channel.name] += 1
    commands = []
    for table, path in merges[:LISTED]:
        names = [
            channel.name if times[channel.name] == 1 else f"{dataset.name}/{channel.name}"
            for dataset, channel in channels[path]
            if _is_segmentation(channel, files)
        ]
        commands.append((table, _command(folder, table, names)))
    return commands


def _is_segmentation(channel: Channel, files: Files) -> bool:
    """Return whether a channel can be opened and is a segmentation."""
    with suppress(ButterflyError):
        source = open_channel(channel, files)
        return source is not None and source.kind == "segmentation"
    return False


def _command(folder: str, table: str, names: Sequence[str]) -> str:
    named = [name for name in names if any(word in name.lower() for word in SUPERVOXELS)]
    chosen = next((each[0] for each in (names, named) if len(each) == 1), UNKNOWN)
    more = f"  (CHANNEL is one of {', '.join(names)})" if chosen == UNKNOWN and names else ""
    words = " ".join(map(shlex.quote, ["-e", folder, chosen, table]))
    return f"bfly edits import {words}{more}"
