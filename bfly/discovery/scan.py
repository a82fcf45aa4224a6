"""Scan of a folder of data, which results in a tree of experiments."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bfly.config.tree import Dataset, Experiment, Sample, check_name
from bfly.discovery.found_tables import place_tables
from bfly.discovery.merge_commands import merge_commands
from bfly.discovery.names import dataset_names
from bfly.discovery.walk import Walk, as_text
from bfly.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.discovery.passed_over import Kind
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["Found", "scan"]


@dataclass(frozen=True)
class Found:
    """Result of a scan.

    Parameters
    ----------
    experiments : tuple of Experiment
        One, or none if there was no channel.
    skipped : list of tuple of str
        Files and folders that look like a channel but are none, as (path, reason).
    unread : list of tuple of str
        Files of microscopes and other programs that are not read, and tables that are not
        served, as (path, what to do).
    passed_over : tuple of Kind
        The other files, which do not look like channels.
    tables : list of tuple of str
        Tables that are served, as (path, what they are).
    merges : list of tuple of str
        Merge tables, as (path, the command that imports it).
    """

    experiments: tuple[Experiment, ...]
    skipped: list[tuple[str, str]]
    unread: list[tuple[str, str]]
    passed_over: tuple[Kind, ...]
    tables: list[tuple[str, str]] = field(default_factory=list)
    merges: list[tuple[str, str]] = field(default_factory=list)

    @property
    def others(self) -> int:
        """Number of files that do not look like channels."""
        return sum(kind.number for kind in self.passed_over)


def scan(folder: str, files: Files, voxel_size: VoxelSize | None = None) -> Found:
    """Find every channel of a supported format below a folder.

    The folder is the sample; each folder that contains channels is a dataset. Formats are
    detected by content. Files with an extension that no format uses are not opened.

    Parameters
    ----------
    folder : str
        The folder to scan. Links are followed as far as `files` allows.
    files : Files
        Checks paths against the allowed folders.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x) of channels that state none, for tables in nanometres.

    Raises
    ------
    ConfigError
        It is not a folder, or its name cannot be the name of a sample.
    NotAllowed
        The folder is outside the allowed folders.
    """
    top = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(top):
        raise ConfigError(f"{folder} is not a folder.")
    try:
        sample = check_name(os.path.basename(top))
    except ValueError as error:
        raise ConfigError(f"The folder {folder} cannot name a sample: needed is {error}.") from None
    with _progress() as tell:
        walk = Walk(files, tell)
        walk.visit(top, files.resolve(top), top, frozenset())
    by_name = attrgetter("name")
    found = {
        folder: left
        for folder, channels in walk.channels.items()
        if (left := [channel for channel in channels if channel.path not in walk.owned])
    }
    names = dataset_names(found, top)
    datasets = sorted(
        (
            Dataset(name=names[path], path=path, channels=tuple(sorted(channels, key=by_name)))
            for path, channels in found.items()
        ),
        key=by_name,
    )
    placed = place_tables(datasets, walk.tables, files, voxel_size)
    for path in placed.others:
        walk.others.add(as_text(os.path.basename(path)))
    unread = sorted([*walk.unread, *((as_text(path), what) for path, what in placed.offered)])
    root = Experiment(name="root", samples=(Sample(name=sample, datasets=tuple(placed.datasets)),))
    return Found(
        (root,) if datasets else (),
        sorted(walk.skipped),
        unread,
        walk.others.kinds(),
        [(as_text(path), what) for path, what in sorted(placed.served)],
        [
            (as_text(table), as_text(command))
            for table, command in merge_commands(top, sorted(walk.merges), datasets, files)
        ],
    )


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current folder, if stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda path: None
        return
    with console.status("") as status:
        yield lambda path: status.update(Text(f"Looking into {path!r}", overflow="ellipsis"))
