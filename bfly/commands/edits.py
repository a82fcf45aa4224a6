"""``bfly edits``: merge tables, the edit log, and what takes back operations."""

from __future__ import annotations

import getpass
import sys
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.commands.command import Command

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation

__all__ = ["EditsCommand"]

SHOWN = 8
"""Lists of an operation, and ids of a list, that are printed at most."""


TAKES = {
    "import": (1, 1, "a TABLE"),
    "export": (1, 1, "a TABLE"),
    "log": (0, 0, "no TABLE"),
    "show": (1, 1, "the ID of an operation"),
    "undo": (1, 10_000, "the IDs of operations, or --by"),
    "redo": (1, 10_000, "the IDs of operations"),
}
"""What each action takes: how many words, and which."""


class EditsCommand(Command):
    """Imports, exports, prints and takes back the edits of a channel."""

    description = """\
Import, export, list and take back the edits of a segmentation, in the database of the
configuration.

  bfly edits import -e FILE.yaml CHANNEL TABLE
                           merge supervoxels into segments; the table has the columns
                           supervoxel and segment
  bfly edits export -e FILE.yaml CHANNEL TABLE
                           write such a table with every edited supervoxel
  bfly edits log -e FILE.yaml CHANNEL
                           print the operations, one per line
  bfly edits show -e FILE.yaml CHANNEL 17
                           print an operation: who, when, and the segments before and after
  bfly edits undo -e FILE.yaml CHANNEL 17 18
                           take back operations, whatever came after them; a message names later
                           ones that stand in the way
  bfly edits undo -e FILE.yaml CHANNEL --by NAME --since 2026-11-28
                           take back all operations of a user since then, as one
  bfly edits redo -e FILE.yaml CHANNEL 17 18
                           do again what was taken back

CHANNEL is the name of a channel, or DATASET/CHANNEL and so on if several have that name.
TABLE ends in .csv, .parquet, .h5, .hdf5, or .merge.npy (with .split.npy beside it), the files of
the first Butterfly. An import also reads FILE.h5#NAME, FILE.npz#NAME, and the folder of an N5
dataset: tables beside a volume, for which the start of a server prints the command. A server on the
same database may run meanwhile.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=TAKES, help="what to do")
        parser.add_argument("channel", metavar="CHANNEL", help="its name, or DATASET/CHANNEL …")
        parser.add_argument(
            "what",
            nargs="*",
            help="the file to import or to write, or operations",
        )
        parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
        parser.add_argument(
            "--at", type=int, metavar="ID", help="export the state after this operation"
        )
        parser.add_argument("--by", metavar="NAME", help="undo the operations of this user")
        parser.add_argument(
            "--since", metavar="TIME", help="with --by: those since a time, as 2026-11-28T12:00"
        )

    @override
    def run(self, arguments: Namespace) -> None:
        from bfly.errors import BadRequest

        action, what = arguments.action, arguments.what
        least, most, noun = TAKES[action]
        least = 0 if arguments.by else least
        if not least <= len(what) <= most:
            raise BadRequest(f"{action} takes {noun}.")
        opened = _Opened(arguments.exp, arguments.channel)
        if action == "import":
            _import(opened.channel, what[0], opened.most)
        elif action == "export":
            _export(opened.channel, what[0], arguments.at)
        elif action == "log":
            for operation in opened.channel.operations():
                print(_line(operation))
        else:
            asked: dict[str, Any] = {"id": what[0]} if action == "show" else {"operations": what}
            if arguments.by:
                asked = {"by": arguments.by, "since": arguments.since}
            name = {"show": "operation"}.get(action, action)
            print(opened.answer(name, {**asked, "user": getpass.getuser()}))


class _Opened:
    """The edits of a channel, and the largest id that its voxels can hold."""

    def __init__(self, experiments: str | None, name: str) -> None:
        import numpy as np

        from bfly.butterfly import Butterfly
        from bfly.commands.channel_names import channel_named
        from bfly.core.core import Core
        from bfly.errors import BadRequest
        from bfly.protocols.protocol import channel_words
        from bfly.queries.info import InfoQuery

        butterfly = Butterfly(experiments)
        for note in butterfly.notes:
            print(note, file=sys.stderr)
        _, channel = channel_named(butterfly.config, name)
        self._core = Core(butterfly.database())
        if not self._core.edits.log.durable:
            raise BadRequest("Nodb forgets edits: configure another db-type, or edit-path.")
        self._words = channel_words(channel)
        volume = self._core.update_query(InfoQuery(**self._words))["volume"]
        if volume.kind != "segmentation":
            raise BadRequest(f"{channel.name} is an image; only a segmentation has edits.")
        self.channel = self._core.edits.channel(channel.path)
        self.most = int(np.iinfo(volume.dtype).max)

    def answer(self, action: str, asked: dict[str, Any]) -> str:
        """Return what a server answers to an action, indented."""
        import json

        from bfly.queries.edits import EditsQuery

        query = EditsQuery(action=action, asked=asked, **self._words)
        return json.dumps(json.loads(self._core.proofreading.answer(query)), indent=1)


def _import(channel: ChannelEdits, path: str, most: int) -> None:
    from rich.console import Console
    from rich.progress import track

    from bfly.edits.files import read_table
    from bfly.edits.merge_table import added
    from bfly.edits.message import Save
    from bfly.errors import BadRequest

    console = Console(stderr=True)
    with console.status(f"Reading {path}"):
        supervoxels, segments, splits = read_table(path)
    if len(segments) and max(supervoxels.max(), segments.max()) > most:
        raise BadRequest(f"{path} has ids above {most}, which the channel's voxels cannot hold.")
    who = getpass.getuser()

    def operations(state: Any) -> Any:
        rows = added(supervoxels, segments, who)(state)
        yield from track(rows, "Writing the log", len(rows), console=console, transient=True)

    before = channel.state.position
    channel.append(operations)
    after = channel.append(
        lambda state: Save((), splits).operations(state, who, state.position)
    ).position
    console.print(f"{len(supervoxels):,} rows were imported as {after - before} operations.")


def _export(channel: ChannelEdits, path: str, at: int | None) -> None:
    from rich.console import Console

    from bfly.edits.files import write_table

    console = Console(stderr=True)
    with console.status(f"Writing {path}"):
        state = channel.state if at is None else channel.at(at)
        supervoxels, segments = state.table()
        write_table(path, supervoxels, segments, state.splits)
    console.print(f"{len(supervoxels):,} supervoxels were exported.")


def _line(operation: Operation) -> str:
    """Return an operation as a line: id, time, user, kind, base, and what it did."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(operation.time))
    what, start = list(operation.splits), 0
    lists = zip(operation.sizes.tolist(), operation.names.tolist(), strict=True)
    for number, (size, name) in enumerate(lists):
        if number == SHOWN:
            what.append(f"and {len(operation.sizes) - SHOWN} more")
            break
        was = dict.fromkeys(operation.was[start : start + size].tolist())
        what.append(f"{name} of {' '.join(map(str, list(was)[:SHOWN]))}{' …' * (len(was) > SHOWN)}")
        start += size
    pairs = operation.pairs.tolist()
    what += [f"{new} for voxels of {old}" for old, new in pairs[:SHOWN]]
    what += [f"and {len(pairs) - SHOWN} more"] * (len(pairs) > SHOWN)
    head = f"{operation.id}\t{when}\t{operation.who or '-'}\t{operation.kind}\ton {operation.base}"
    return f"{head}\t{'; '.join(what)}"
