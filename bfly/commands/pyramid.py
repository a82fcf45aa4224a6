"""``bfly pyramid``: compute the mips of a channel before they are viewed."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.commands.command import Command
from bfly.commands.on_dask import add_job, cluster, each, progress_bar
from bfly.errors import ButterflyError, ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from bfly.config.config import Config
    from bfly.config.tree import Channel
    from bfly.jobs.pyramid import Filled, Piece, Task

__all__ = ["PyramidCommand", "task_of"]


class PyramidCommand(Command):
    """Fills the pyramid store on Dask."""

    description = """\
Compute the mips that a channel's file lacks and keep them, so that viewers do not have to wait.

  bfly pyramid em.h5 -e FOLDER               on the cores of this machine
  bfly pyramid block-1/em -e FILE.yaml       with the dataset's name, if several channels are
                                             called em
  bfly pyramid em.h5 -e FOLDER --scheduler tcp://HOST:8786
                                             on a Dask cluster that has the same paths, also for
                                             the folder of the store

They are kept in the folder of the configuration (pyramid: folder, size), by default in the
user's cache directory. Tiles that are kept already are not computed again: after an interruption
or an error, run the command again. The exit code is 0 if every tile is kept, otherwise 1.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_job(parser)

    @override
    def run(self, arguments: Namespace) -> None:
        from bfly.butterfly import configuration
        from bfly.commands.channel_names import channel_named
        from bfly.jobs.pyramid import pieces
        from bfly.storage.files import is_url

        notes: list[str] = []
        config = configuration(arguments.exp, notes)
        for note in notes:
            _say(note)
        names, channel = channel_named(config, arguments.channel)
        if not config.pyramid.size:
            raise ConfigError("pyramid.size is 0, so nothing is kept; allowed are MiB above 0.")
        if is_url(channel.path):
            raise ConfigError(
                f"{channel.path} is a URL; mips are kept only for channels in files, since a "
                "change behind a URL goes unnoticed."
            )
        task = task_of(config, channel)
        volume = task.open()
        tiles = sum(
            volume.level(mip).tiles.size
            for mip in range(volume.levels)
            if volume.level(mip).stored != mip
        )
        name = "/".join(names)
        if not tiles:
            _say(f"{name} has all its mips in its file.")
            return
        with cluster("bfly pyramid", arguments.scheduler) as client:
            filled = _fill(client, task, pieces(volume), name, tiles)
        _say(
            f"{name}: {filled.computed:,} tiles computed, {filled.there:,} were there, "
            f"{filled.failed:,} failed; they are kept in {task.folder}."
        )
        if filled.failed:
            raise ButterflyError(f"{name} is not whole: {filled.error}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def task_of(config: Config, channel: Channel) -> Task:
    """Return a channel and its limits, as jobs are sent to other machines."""
    from bfly.jobs.pyramid import Task
    from bfly.keywords import MIB
    from bfly.protocols.protocol import channel_words
    from bfly.volumes.channel import ChannelSpec

    return Task(
        spec=ChannelSpec(**channel_words(channel)),
        allowed=config.allowed_paths,
        largest_tile=config.max_block_size * MIB,
        max_chunk=config.max_chunk_size * MIB,
        folder=config.pyramid.where,
        size=config.pyramid.size * MIB,
    )


def _fill(client: Any, task: Task, left: Iterator[Piece], name: str, tiles: int) -> Filled:
    """Compute the pieces, and show the progress."""
    from bfly.jobs.pyramid import Filled, do

    result = Filled()
    with progress_bar(name, tiles) as update:
        for filled in each(client, partial(do, task), left):
            result += filled
            update(result.computed + result.there + result.failed)
    return result
