"""List of the channels that a server starts with, for the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from bfly.errors import ButterflyError
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from rich.console import Console

    from bfly.config.config import Config
    from bfly.config.tree import Channel

__all__ = ["list_channels"]

MOST = 12
"""Channels of a dataset that are shown; the others are counted."""

SECONDS = 0.25
"""Time for opening channels: those left over are counted, so that the start is not late."""


def list_channels(config: Config, console: Console, most: int = MOST) -> None:
    """Print the channels by dataset, each with its kind, dtype, size and voxel size.

    What states the kind and the voxel size is in parentheses. Sizes are z, y, x.

    Parameters
    ----------
    config : Config
        The configuration that is served.
    console : rich.console.Console
        Where to print.
    most : int
        Channels of a dataset that are shown.
    """
    files = Files(config.allowed_paths)
    end = time.monotonic() + SECONDS
    for experiment in config.experiments:
        for sample in experiment.samples:
            for dataset in sample.datasets:
                names = " / ".join((experiment.name, sample.name, dataset.name))
                title = f"{names}: {_many(len(dataset.channels), 'channel')} in {dataset.path}"
                console.print(Text(title, "bold"), soft_wrap=True)
                rest = len(dataset.channels)
                for channel in dataset.channels[:most]:
                    if time.monotonic() > end:
                        break
                    line = Text.assemble("  ", (channel.name, "cyan"), ": ", _facts(channel, files))
                    console.print(line, soft_wrap=True)
                    rest -= 1
                if rest > 0:
                    console.print(f"  … {rest:,} more; 'bfly doctor' shows all", style="dim")


def _facts(channel: Channel, files: Files) -> Text:
    spec = ChannelSpec(channel.path, kind=channel.kind, voxel_size=channel.voxel_size)
    try:
        volume = Volume.open(spec, files)
        source = volume.source
        kind = f"{source.kind} of {source.dtype}"
    except ButterflyError as error:
        return Text(f"will not be served: {error}", "yellow")
    size = f", {_by(volume.level(0).whole.shape)}, "
    known = source.voxel_size
    voxels = ("voxel size not known", "yellow") if known is None else f"voxels of {_by(known)} nm"
    origin = "" if known is None else f" ({source.voxel_size_source})"
    return Text.assemble(kind, (f" ({source.kind_source})", "dim"), size, voxels, (origin, "dim"))


def _by(numbers: tuple[float, ...]) -> str:
    return " × ".join(f"{number:.6g}" if number < 1e6 else f"{number:.0f}" for number in numbers)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
