"""``bfly mesh``: make meshes of segments in several resolutions in advance."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.commands.command import Command
from bfly.commands.on_dask import add_job, cluster, each, progress_bar
from bfly.errors import BadRequest, ButterflyError, ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bfly.edits.state import EditState
    from bfly.jobs.mesh_plans import MeshJobs
    from bfly.jobs.meshes import MeshJob
    from bfly.segments.index import Index
    from bfly.volumes.volume import Volume

__all__ = ["MeshCommand"]

MOST = 2**64 - 1


class MeshCommand(Command):
    """Makes meshes on Dask."""

    description = """\
Make meshes of segments in several resolutions, and keep them. A server sends these instead of
meshes that it computes when they are asked for.

  bfly mesh seg.h5 -e FOLDER                all segments, on the cores of this machine
  bfly mesh seg.h5 17 23 -e FOLDER          only these
  bfly mesh seg.h5 -e FOLDER --sharded      many meshes in a file, for a million segments
  bfly mesh seg.h5 -e FOLDER --scheduler tcp://HOST:8786
                                            on a Dask cluster that has the same paths, also for
                                            the folder of the meshes

They are kept in the folder of the configuration (pyramid: folder), by default in the user's cache
directory. Segments are those of the edits at the start. After an interruption, or after edits, run
the command again: what was done is not done again.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_job(parser)
        parser.add_argument("ids", metavar="ID", nargs="*", help="a segment; by default, all")
        parser.add_argument(
            "--sharded",
            action="store_true",
            help="many meshes in a file, instead of two files each",
        )

    @override
    def run(self, arguments: Namespace) -> None:
        import numpy as np

        from bfly.butterfly import Butterfly
        from bfly.commands.channel_names import channel_named
        from bfly.commands.index import build_index
        from bfly.commands.pyramid import task_of
        from bfly.core.core import Core
        from bfly.jobs.mesh_plans import MeshJobs, named
        from bfly.keywords import MIB
        from bfly.segments.mesh_store import MeshStore
        from bfly.segments.multires import check_library
        from bfly.segments.store import Indexes

        ids = [_id(text) for text in arguments.ids]
        check_library()
        butterfly = Butterfly(arguments.exp)
        for note in butterfly.notes:
            _say(note)
        config = butterfly.config
        names, channel = channel_named(config, arguments.channel)
        name = "/".join(names)
        if not config.pyramid.size:
            raise ConfigError("pyramid.size is 0, so nothing is kept; allowed are MiB above 0.")
        task = task_of(config, channel)
        volume = task.open()
        if volume.kind != "segmentation":
            raise ButterflyError(
                f"{name} is an image ({volume.source.kind_source}); only a segmentation has meshes."
            )
        indexes, store = Indexes(task.folder, config.pyramid.size * MIB), MeshStore(task.folder)
        build, folder = indexes.build(volume), store.channel(volume)
        if build is None or folder is None:
            raise ButterflyError(f"{channel.path} is a URL, whose changes would go unnoticed.")
        edits = Core(butterfly.database()).edits.channel(channel.path).state
        if ids:
            ids = named(edits, np.array(ids, np.uint64)).tolist()
        jobs = MeshJobs(store, folder, task, tuple(ids), arguments.sharded)
        try:
            index = indexes.open(build)
            if index is None:
                with cluster("bfly mesh", arguments.scheduler) as client:
                    build_index(client, build, volume, f"{name}, its index")
                index = indexes.open(build)
                assert index is not None
            _check_patches(edits, ids, name)
            if missing := _missing(index, edits, ids):
                raise BadRequest(f"There is no segment {missing} in {name}.")
            with jobs.held(volume):
                _work(jobs, volume, index, edits, name, arguments.scheduler)
        except OSError as error:
            raise ButterflyError(f"{folder} cannot be written: {error}") from error
        _say(f"{name}: its meshes are kept in {folder}.")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _id(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise BadRequest(f"{text!r} is no segment; allowed are whole numbers from 1 to {MOST}.")
    return int(text)


def _missing(index: Index, edits: EditState, ids: list[int]) -> int | None:
    """Return the first segment without voxels."""
    import numpy as np

    from bfly.segments.segments import Segments

    found = Segments(index, edits).of(np.array(ids, np.uint64))["label"].tolist()
    return min(set(ids) - set(found), default=None)


def _check_patches(edits: EditState, ids: list[int], name: str) -> None:
    """Print which segments the server makes; raise `BadRequest` if one of them was asked for."""
    from bfly.segments.segments import patched_of

    patched = patched_of(edits).tolist()
    if wanted := set(patched) & set(ids):
        raise BadRequest(
            f"Voxels of the segment {min(wanted)} of {name} were patched: the server makes its "
            "mesh when a viewer asks for it."
        )
    if patched and not ids:
        _say(f"{name}: {len(patched)} segments with patches are left to the server.")


def _work(
    jobs: MeshJobs, volume: Volume, index: Index, edits: EditState, name: str, scheduler: str | None
) -> None:
    """Do the job that was begun, and one for what is still missing."""
    begun = jobs.begun()
    if begun:
        _do(begun, name, scheduler)
    if job := jobs.new(volume, index, edits):
        _do(job, name, scheduler)


def _do(job: MeshJob, name: str, scheduler: str | None) -> None:
    from bfly.jobs.mesh_shards import finish, pieces, put_together
    from bfly.jobs.meshes import do

    total = sum(1 for _ in pieces(job))
    shards = range(1 << job.sharding.shard_bits)
    with cluster("bfly mesh", scheduler) as client:
        _all(client, partial(do, job), pieces(job), name, total)
        _all(client, partial(put_together, job), iter(shards), f"{name}, files", len(shards))
    finish(job)


def _all(client: Any, work: Any, items: Any, name: str, total: int) -> None:
    """Do a part of a job, and show the progress."""
    with progress_bar(name, total) as update:
        for done, _ in enumerate(each(client, work, items), 1):
            update(done)
