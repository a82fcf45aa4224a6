"""``bfly skeleton``: make the skeletons of segments before they are viewed."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.commands.command import Command
from bfly.commands.index import build_index
from bfly.commands.on_dask import add_job, cluster, each, progress_bar
from bfly.errors import ButterflyError, ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.config.config import Config
    from bfly.config.tree import Channel
    from bfly.core.skeleton_job import SkeletonJob
    from bfly.segments.index import Index
    from bfly.segments.segments import Segments
    from bfly.volumes.volume import Volume

    Segment = tuple[int, NDArray[np.uint64]]

__all__ = ["SkeletonCommand"]


class SkeletonCommand(Command):
    """Makes skeletons on Dask."""

    description = """\
Make the skeletons of segments and keep them, so that viewers do not have to wait.

  bfly skeleton seg.h5 -e FOLDER            of all segments, the largest first
  bfly skeleton seg.h5 17 42 -e FOLDER      of some
  bfly skeleton seg.h5 -e FOLDER --scheduler tcp://HOST:8786
                                            on a Dask cluster that has the same paths, also for
                                            the folder of the store

They are kept in the folder of the configuration (pyramid: folder, size), by default in the
user's cache directory, and served while the channel and the segment are as they were. Skeletons
that are kept already are not made again: after an interruption or an error, run the command again.
The exit code is 0 if every skeleton is kept, otherwise 1.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_job(parser)
        parser.add_argument("ids", metavar="ID", nargs="*", type=_id, help="segments; all if none")

    @override
    def run(self, arguments: Namespace) -> None:
        from bfly.butterfly import Butterfly
        from bfly.commands.channel_names import channel_named
        from bfly.core.core import Core
        from bfly.protocols.protocol import channel_words
        from bfly.queries.segments import SegmentsQuery
        from bfly.registry import needed
        from bfly.segments.segments import Segments

        with needed("skeletons"):
            import scipy  # noqa: F401 - the workers use it
        butterfly = Butterfly(arguments.exp)
        for note in butterfly.notes:
            print(note, file=sys.stderr)
        names, channel = channel_named(butterfly.config, arguments.channel)
        name = "/".join(names)
        job = _job(butterfly.config, channel)
        core = Core(butterfly.database())
        volume, state = core.basis(SegmentsQuery(**channel_words(channel)))
        if volume.kind != "segmentation":
            raise ButterflyError(
                f"{name} is an image ({volume.source.kind_source}); only a segmentation has "
                "segments."
            )
        with cluster("bfly skeleton", arguments.scheduler) as client:
            segments = Segments(_index(client, job, volume, name), state)
            counts = _make(client, job, segments, arguments.ids, name)
        core.close()
        print(
            f"{name}: {counts['made']:,} skeletons made, {counts['there']:,} were there, "
            f"{counts['failed']:,} failed; they are kept in {job.folder}.",
            file=sys.stderr,
        )
        if counts["failed"]:
            raise ButterflyError(f"{name} does not have all skeletons; the log above says why.")


def _id(text: str) -> int:
    """Return the id of a segment from the command line."""
    if not text.isdecimal() or not 0 < int(text) < 2**64:
        raise ArgumentTypeError(f"{text} is not the id of a segment, 1 to {2**64 - 1}.")
    return int(text)


def _job(config: Config, channel: Channel) -> SkeletonJob:
    from bfly.core.skeleton_job import SkeletonJob
    from bfly.keywords import MIB
    from bfly.protocols.protocol import channel_words
    from bfly.volumes.channel import ChannelSpec

    if not config.pyramid.size:
        raise ConfigError("pyramid.size is 0, so nothing is kept; allowed are MiB above 0.")
    return SkeletonJob(
        spec=ChannelSpec(**channel_words(channel)),
        allowed=tuple(config.allowed_paths),
        largest_tile=config.max_block_size * MIB,
        max_chunk=config.max_chunk_size * MIB,
        limit=config.max_cutout_size * MIB,
        folder=config.pyramid.where,
        size=config.pyramid.size * MIB,
    )


def _index(client: Any, job: SkeletonJob, volume: Volume, name: str) -> Index:
    """Return the label index of the channel, building it first if need be."""
    from bfly.segments.store import Indexes

    store = Indexes(job.folder, job.size)
    build = store.build(volume)
    if build is None:
        raise ButterflyError(f"{job.spec.path} is a URL, whose changes would go unnoticed.")
    index = store.open(build)
    if index is None:
        build_index(client, build, volume, f"{name}, its index")
        index = store.open(build)
        assert index is not None
    return index


def _make(
    client: Any, job: SkeletonJob, segments: Segments, ids: list[int], name: str
) -> Counter[str]:
    """Make the skeletons, show the progress, and count what became of them."""
    from bfly.segments.segments import patched_of

    listed = [np.array(ids, np.uint64)] if ids else None
    # The workers read the stored labels.
    patched = set(patched_of(segments.edits).tolist())
    total = sum(one not in patched for one in ids) if ids else segments.count

    def wanted() -> Iterator[Segment]:
        for some in listed or (page["label"] for page in segments.by_size()):
            own = (one for one in some.tolist() if one not in patched)
            yield from ((one, segments.members(one)) for one in own)

    if left := len(patched & set(ids) if ids else patched):
        print(f"{name}: {left} segments with patches are left to the server.", file=sys.stderr)
    counts: Counter[str] = Counter(made=0, there=0, failed=0)
    with progress_bar(name, total) as update:
        for done in each(client, job.do, wanted()):
            counts["failed" if done.error else "made" if done.is_new else "there"] += 1
            update(counts.total())
            if done.error:
                print(done.error, file=sys.stderr)
    return counts
