"""The command that imports a merge table, which a scan found beside a segmentation."""

from __future__ import annotations

import shlex
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from bfly.discovery.opening import open_channel
from bfly.errors import ButterflyError
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.config.tree import Dataset
    from bfly.storage.files import Files

__all__ = ["merge_command"]

SUPERVOXELS = ("fragment", "supervoxel")
"""Words in the name of the segmentation that a table is about, if there are several."""

UNKNOWN = "CHANNEL"
"""Placeholder for the channel, if it is not known."""


def merge_command(
    folder: str, table: str, path: str, datasets: Sequence[Dataset], files: Files
) -> str:
    """Return the command, with the only segmentation of the file; or else a placeholder.

    Parameters
    ----------
    folder : str
        The folder that is served.
    table : str
        The table, as the command reads it.
    path : str
        The file or folder with the segmentation.
    datasets : sequence of Dataset
        All datasets.
    files : Files
        Access to the files.
    """
    times = Counter(channel.name for dataset in datasets for channel in dataset.channels)
    names = []
    for dataset in datasets:
        for channel in dataset.channels:
            if split_path(channel.path)[0] == path:
                with suppress(ButterflyError):
                    source = open_channel(channel, files)
                    if source is not None and source.kind == "segmentation":
                        alone = times[channel.name] == 1
                        names.append(channel.name if alone else f"{dataset.name}/{channel.name}")
    named = [name for name in names if any(word in name.lower() for word in SUPERVOXELS)]
    chosen = next((each[0] for each in (names, named) if len(each) == 1), UNKNOWN)
    more = f"  (CHANNEL is one of {', '.join(names)})" if chosen == UNKNOWN and names else ""
    words = " ".join(map(shlex.quote, ["-e", folder, chosen, table]))
    return f"bfly edits import {words}{more}"
