"""``bfly doctor``: a check of every channel before it is served."""

from __future__ import annotations

import json
import os
import sys
from argparse import SUPPRESS
from dataclasses import asdict
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.commands.command import Command
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator

    from bfly.config.config import Config
    from bfly.doctor.examine import Examined
    from bfly.storage.files import Files

__all__ = ["Doctor"]

GLANCE = 1 << 20
"""Bytes at the start of a JSON or text file that are read to check it."""

AS_TEXT = (".ali", ".hdr", ".map", ".rec", ".st")
"""Endings of volumes that text of other programs has too, such as source maps and ENVI headers."""


class Doctor(Command):
    """Examines every channel."""

    description = """\
Open every channel, read a few tiles of it, and print what is wrong and how to fix it.

  bfly doctor FOLDER              check every channel below a folder, and list files that look
                                  like a channel but cannot be served
  bfly doctor FILE                check one volume
  bfly doctor FILE.yaml --json    check the channels of a configuration, and print JSON

An error is a channel that cannot be opened or read, a missing or truncated file, a missing
section, a volume that has only one value, or a table of neurons or synapses that cannot be read.
A warning is a doubt (axes in another order, a dtype
too small for its labels, an unknown voxel size) or something slow (chunks that do not suit
viewing, a large volume without mips). Each comes with the command or the setting that fixes it.

The exit code is 1 if there are errors, otherwise 0. Nothing is written, except that a large
volume gets an empty entry in the store of mips.
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        what = "a YAML file, a folder with data, or a volume"
        parser.add_argument(
            "exp", nargs="?", default=SUPPRESS, metavar="FILE|FOLDER|URL", help=what
        )
        parser.add_argument("-e", "--exp", metavar="EXP", help="the same, as an option")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")

    @override
    def run(self, arguments: Namespace) -> None:
        from rich.console import Console
        from rich.progress import track

        config, skipped = _what(arguments.exp)
        channels = track(
            _examined(config, arguments.exp or ""),
            "Examining",
            len(config.channels),
            console=Console(stderr=True),
            transient=True,
        )
        examined = [*channels, *_metadata(config)]
        paths = {each.path for each in examined}
        examined += [each for each in skipped if each.path not in paths]
        if arguments.json:
            print(json.dumps(_document(examined), indent=1))
        else:
            from bfly.doctor.table import table

            Console().print(table(examined))
        bad = sum(channel.has_errors for channel in examined)
        if bad:
            raise ButterflyError(f"{bad:,} of {len(examined):,} have errors.")


def _what(experiments: str | None) -> tuple[Config, list[Examined]]:
    """Return the configuration, and mistakes in it, or files that only look like channels."""
    from bfly.butterfly import config_file, configuration
    from bfly.config.config import Config
    from bfly.discovery.report import by_reason, passed_over
    from bfly.discovery.scan import scan
    from bfly.doctor.examine import Examined
    from bfly.doctor.finding import Finding
    from bfly.errors import ConfigError
    from bfly.storage.files import Files

    if (path := config_file(experiments)) or not os.path.isdir(experiments or ""):
        notes: list[str] = []
        config = configuration(experiments, notes)
        if path is None:
            return config, []
        notes += filter(None, [config.offset_note])
        mended = [Finding("configuration", note.removeprefix(f"{path}: ")) for note in notes]
        name = os.path.basename(path)
        return config, [Examined(name, path, None, mended)] if mended else []
    assert experiments
    found = scan(experiments, Files())
    for line in passed_over(found):
        print(line, file=sys.stderr)
    if not found.experiments and not found.skipped and not found.unread:
        raise ConfigError(f"There is no channel of a supported format below {experiments}.")
    top = os.path.abspath(experiments)
    skipped = []
    for path, reason in found.skipped:
        if not _is_something_else(path):
            wrong = Finding("skipped", f"It is left out: {reason}.", is_error=True)
            skipped.append(Examined(os.path.relpath(path, top), path, None, [wrong]))
    for reason, paths in by_reason(found.unread):
        what, _, remedy = reason.partition(". ")
        message = f"{_named(paths, top)}: {what}."
        name = os.path.relpath(paths[0], top)
        skipped.append(Examined(name, paths[0], None, [Finding("unread", message, f"{remedy}.")]))
    return Config(experiments=found.experiments), skipped


def _named(paths: list[str], top: str) -> str:
    """Return the names of some files, most of them as a number."""
    first = os.path.relpath(paths[0], top)
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1:,} more"


def _is_something_else(path: str) -> bool:
    """Return whether a file is of another kind that a folder may hold for any purpose.

    That is an intact zip or JSON, or text with an ending that other programs use as well.
    """
    import zipfile

    from pydantic_core import from_json

    from bfly.storage.files import regular

    try:
        with regular(path) as file:
            if path.lower().endswith(AS_TEXT):
                return b"\0" not in file.read(GLANCE)
            if not path.endswith(".json"):
                return zipfile.is_zipfile(file)
            from_json(file.read(GLANCE), allow_partial=os.path.getsize(path) > GLANCE)
    except (OSError, ValueError):
        return False
    return True


def _files(config: Config) -> Files:
    from bfly.butterfly import runtime_of
    from bfly.storage.files import Files

    runtime = runtime_of(config)
    return Files(
        runtime.FILES.ALLOWED.VALUE,
        disk_cache=runtime.FILES.CACHE.VALUE,
        max_chunk=runtime.IMAGE.CHUNK.VALUE,
    )


def _metadata(config: Config) -> Iterator[Examined]:
    """Examine the files of neurons and synapses of each dataset."""
    from bfly.doctor.tables import examine_tables

    files = _files(config)
    datasets = (
        dataset
        for experiment in config.experiments
        for sample in experiment.samples
        for dataset in sample.datasets
    )
    for dataset in datasets:
        words = dataset.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        yield from examine_tables(dataset.name, words, files)
        for folder in dict.fromkeys(c.dpath for c in dataset.channels if c.dpath):
            yield from examine_tables(dataset.name, {"path": folder}, files)


def _examined(config: Config, experiments: str) -> Iterator[Examined]:
    from functools import partial

    from bfly.butterfly import runtime_of
    from bfly.commands.channel_names import short_names
    from bfly.doctor.examine import examine
    from bfly.protocols.protocol import channel_words
    from bfly.volumes.channel import ChannelSpec
    from bfly.volumes.pyramid_store import pyramids_of
    from bfly.volumes.volume import Volume

    runtime, names = runtime_of(config), short_names(config)
    place = _files(config), runtime.CACHE.MAX_BLOCK.VALUE, pyramids_of(runtime)
    for key, channel in config.channels.items():
        opened = partial(Volume.open, ChannelSpec(**channel_words(channel)), *place)
        yield examine(names[key], channel.path, experiments, opened)


def _document(examined: Iterable[Examined]) -> dict[str, object]:
    channels = [{"healthy": not channel.findings, **asdict(channel)} for channel in examined]
    findings = [finding for channel in examined for finding in channel.findings]
    errors = sum(finding.is_error for finding in findings)
    return {"channels": channels, "errors": errors, "warnings": len(findings) - errors}
