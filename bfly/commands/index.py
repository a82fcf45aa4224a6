"""``bfly index``: build the label index of a channel."""

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

    from bfly.segments.building import Build
    from bfly.segments.index import Summary
    from bfly.volumes.volume import Volume

__all__ = ["IndexCommand", "build_index"]


class IndexCommand(Command):
    """Builds a label index on Dask."""

    description = """\
Build the label index of a segmentation: size, bounding box and place of each segment. A server
builds that of a small channel by itself when it is first needed.

  bfly index seg.h5 -e FOLDER               on the cores of this machine
  bfly index block-1/seg -e FILE.yaml       with the dataset's name, if several channels are
                                            called seg
  bfly index seg.h5 -e FOLDER --scheduler tcp://HOST:8786
                                            on a Dask cluster that has the same paths, also for
                                            the folder of the index

It is kept in the folder of the configuration (pyramid: folder, size), by default in the user's
cache directory. After an interruption, run the command again: what was done is not done again.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_job(parser)

    @override
    def run(self, arguments: Namespace) -> None:
        from bfly.butterfly import configuration
        from bfly.commands.channel_names import channel_named
        from bfly.keywords import MIB
        from bfly.protocols.protocol import channel_words
        from bfly.segments.store import Indexes
        from bfly.storage.files import Files
        from bfly.volumes.channel import ChannelSpec
        from bfly.volumes.volume import Volume

        config = configuration(arguments.exp, [])
        names, channel = channel_named(config, arguments.channel)
        name = "/".join(names)
        if not config.pyramid.size:
            raise ConfigError("pyramid.size is 0, so nothing is kept; allowed are MiB above 0.")
        files = Files(config.allowed_paths, max_chunk=config.max_chunk_size * MIB)
        volume = Volume.open(ChannelSpec(**channel_words(channel)), files)
        if volume.kind != "segmentation":
            raise ButterflyError(
                f"{name} is an image ({volume.source.kind_source}); only a segmentation has labels."
            )
        store = Indexes(config.pyramid.where, config.pyramid.size * MIB)
        build = store.build(volume)
        if build is None:
            raise ButterflyError(f"{channel.path} is a URL, whose changes would go unnoticed.")
        index = store.open(build)
        try:
            summary = index.summary if index else self._build(build, volume, name, arguments)
        except OSError as error:
            raise ButterflyError(f"{build.folder} cannot be written: {error}") from error
        print(
            f"{name}: {summary.labels:,} labels in {summary.voxels:,} voxels; the index is kept in "
            f"{build.folder}.",
            file=sys.stderr,
        )
        store.trim(build.folder)

    def _build(self, build: Build, volume: Volume, name: str, arguments: Namespace) -> Summary:
        with cluster("bfly index", arguments.scheduler) as client:
            return build_index(client, build, volume, name)


def build_index(client: Any, build: Build, volume: Volume, name: str) -> Summary:
    """Build an index on Dask, with a progress bar.

    Parameters
    ----------
    client : distributed.Client
        As `cluster` yields it.
    build : Build
        The index.
    volume : Volume
        Its channel.
    name : str
        Of the channel, for the progress bar.
    """
    files: list[str] = []
    total = sum(1 for _ in build.pieces(volume))
    with progress_bar(name, total) as update:
        for file in each(client, build.do, build.pieces(volume)):
            files.append(file)
            update(len(files))
    while groups := build.groups(files):
        files = list(each(client, partial(_merge, build), iter(groups.items())))
    return build.finish(files)


def _merge(build: Build, group: tuple[str, list[str]]) -> str:
    return build.merge(*group)
