"""``bfly edits``: merge tables, the edit log, and what takes back operations."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.commands.command import Command
from bfly.commands.edit_lines import LINE_ACTIONS, print_lines

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.state import EditState

__all__ = ["EditsCommand"]

TAKES = {
    "import": (1, 1, "a TABLE"),
    "export": (1, 1, "a TABLE"),
    "log": (0, 0, "no TABLE"),
    "show": (1, 1, "the ID of an operation"),
    "undo": (1, 10_000, "the IDs of operations, or --by"),
    "redo": (1, 10_000, "the IDs of operations"),
    "branch": (0, 1, "the NAME of a branch to begin, or nothing to list them"),
    "snapshot": (0, 1, "the NAME of a snapshot to make, or nothing to list them"),
    "diff": (1, 1, "the STATE to compare with"),
    "merge": (1, 10_000, "the BRANCH, and choices such as 17=theirs"),
}
"""What each action takes: how many words, and which."""

OPTIONS = {
    "at": ("export", "branch", "snapshot"),
    "by": ("log", "undo"),
    "since": ("log", "undo"),
    "limit": ("log",),
}
"""The actions that an option is for."""


class EditsCommand(Command):
    """Imports, exports, prints and takes back the edits of a channel."""

    description = """\
Import, export, list and take back the edits of a segmentation, in the database of the
configuration.

  bfly edits import -e FILE.yaml CHANNEL TABLE
                           merge supervoxels into segments; the table has the columns
                           supervoxel and segment. A table with the columns supervoxel_1,
                           supervoxel_2, and weight or affinity has edges, for splits
  bfly edits export -e FILE.yaml CHANNEL TABLE
                           write such a table with every edited supervoxel
  bfly edits log -e FILE.yaml CHANNEL
                           print the operations, one per line: id, time, user, kind, the
                           operation that the user saw, and ids
  bfly edits log -e FILE.yaml CHANNEL --by NAME --since 2026-11-28 --limit 10
                           print those of a user since then, and of these the latest 10
  bfly edits show -e FILE.yaml CHANNEL 17
                           print an operation as JSON: what the log has of it, and the root
                           ids of the segments before and after
  bfly edits undo -e FILE.yaml CHANNEL 17 18
                           take back operations, whatever came after them; a message names later
                           ones that stand in the way
  bfly edits undo -e FILE.yaml CHANNEL --by NAME --since 2026-11-28
                           take back all operations of a user since then, as one
  bfly edits redo -e FILE.yaml CHANNEL 17 18
                           do again what was taken back
  bfly edits branch -e FILE.yaml CHANNEL try --at 17
                           begin the branch "try" after an operation, by default the last; it is
                           called CHANNEL@try from then on, here and in every address
  bfly edits branch -e FILE.yaml CHANNEL
                           list the branches
  bfly edits snapshot -e FILE.yaml CHANNEL v1 --at 2026-11-28T12:00
                           name a state, which is served as CHANNEL@v1 and never changes
  bfly edits diff -e FILE.yaml CHANNEL@try main
                           print where main and the branch differ: the box (x, y, z), and the
                           segments in main and in the branch
  bfly edits merge -e FILE.yaml CHANNEL try 17=theirs 18=ours
                           do on CHANNEL what the branch did; 17 and 18 are its operations that
                           contradict later ones of CHANNEL
  bfly edits export -e FILE.yaml CHANNEL TABLE --at v1
                           write the table of a snapshot, a branch, an operation or a time (UTC)

CHANNEL is the name of a channel, or DATASET/CHANNEL and so on if several have that name. Every
action also takes CHANNEL@STATE: a branch, a snapshot, the number of an operation, or a time. Only
the channel and its branches can be edited.
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
            help="the file to import or to write, operations, or names",
        )
        parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
        parser.add_argument(
            "--at",
            metavar="STATE",
            help="export, name or branch from this: an operation, a time, a branch or a snapshot",
        )
        parser.add_argument("--by", metavar="NAME", help="log or undo the operations of this user")
        parser.add_argument(
            "--since", metavar="TIME", help="those since a time, as 2026-11-28T12:00"
        )
        parser.add_argument(
            "--limit", type=int, metavar="COUNT", help="log only so many operations, the latest"
        )

    @override
    def run(self, arguments: Namespace) -> None:
        from bfly.commands.edit_log import log_lines
        from bfly.edits.edge_files import has_edges
        from bfly.errors import BadRequest
        from bfly.queries.edit_words import Moment
        from bfly.validation import whole_number

        action, what = arguments.action, arguments.what
        least, most, noun = TAKES[action]
        for option, actions in OPTIONS.items():
            if getattr(arguments, option) is not None and action not in actions:
                raise BadRequest(f"--{option} is for {' and '.join(actions)}, not for {action}.")
        least = 0 if arguments.by else least
        if not least <= len(what) <= most:
            raise BadRequest(f"{action} takes {noun}.")
        limit = arguments.limit
        if limit is not None:
            limit = whole_number("limit", limit, 1)
        since = Moment().read("since", arguments.since or 0)
        opened = _Opened(arguments.exp, arguments.channel)
        if action == "import" and has_edges(what[0]):
            _import_edges(opened, what[0])
        elif action == "import":
            _import(opened.found.writable, what[0], opened.most)
        elif action == "export":
            _export(opened.at(arguments.at), what[0])
        elif action == "log":
            for line in log_lines(opened.found, arguments.by, since, limit):
                print(line)
        elif action in LINE_ACTIONS:
            print_lines(action, what, arguments.at, opened.answer)
        else:
            asked: dict[str, Any] = {"id": what[0]} if action == "show" else {}
            if action != "show":
                asked = {"by": arguments.by, "since": arguments.since, "operations": what or None}
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
        _, channel = channel_named(butterfly.config, name, may_be_line=True)
        self._core = Core(butterfly.database())
        if not self._core.edits.log.durable:
            raise BadRequest("Nodb forgets edits: configure another db-type, or edit-path.")
        self._words = channel_words(channel)
        volume = self._core.update_query(InfoQuery(**self._words))["volume"]
        if volume.kind != "segmentation":
            raise BadRequest(f"{channel.name} is an image; only a segmentation has edits.")
        self.edges = self._core.edits.edge_store
        self.path = channel.path
        self.found = self._core.edits.found(channel.path, channel.line)
        self.most = int(np.iinfo(volume.dtype).max)

    def at(self, text: str | None) -> EditState:
        """Return the state that ``--at`` names; an operation is one of the open line."""
        from bfly.edits.line_names import MAIN, StateName

        path, line = self._words["path"], self._words.get("line", "")
        if text is None:
            return self.found.state
        name = StateName.parse(text)
        is_own = not name.line and name != StateName()
        return self._core.edits.found(path, f"{line or MAIN}@{text}" if is_own else text).state

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


def _import_edges(opened: _Opened, path: str) -> None:
    from rich.console import Console

    from bfly.edits.edge_files import read_edges
    from bfly.edits.stored_edges import keep
    from bfly.errors import BadRequest

    console = Console(stderr=True)
    with console.status(f"Reading {path}"):
        edges = read_edges(path)
        if len(edges.pairs) and edges.pairs.max() > opened.most:
            raise BadRequest(
                f"{path} has ids above {opened.most}, which the channel's voxels cannot hold."
            )
        if opened.edges is None:
            raise BadRequest("The log of edits of this database keeps no edges.")
        count = keep(opened.edges, opened.path, edges)
    console.print(f"{count:,} edges are kept for splits, instead of those before.")


def _export(state: EditState, path: str) -> None:
    from rich.console import Console

    from bfly.edits.files import write_table

    console = Console(stderr=True)
    with console.status(f"Writing {path}"):
        supervoxels, segments = state.table()
        write_table(path, supervoxels, segments, state.splits)
    console.print(f"{len(supervoxels):,} supervoxels were exported.")
