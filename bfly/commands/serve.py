"""``bfly``: serve a folder, or what a configuration lists."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from typing_extensions import override

import bfly
from bfly.commands.command import Command
from bfly.errors import ButterflyError
from bfly.server.arguments import add_data

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bfly.butterfly import Butterfly

__all__ = ["Serve", "add_server_options", "serve"]

log = logging.getLogger(__name__)

MOST_WORKERS = 256


class Serve(Command):
    """The command ``bfly`` without a subcommand."""

    description = """\
Serve connectomics volumes directly from their files.

  bfly FOLDER              find every channel below a folder and serve it
  bfly FILE                serve one volume, or the channels that a YAML file lists
  bfly URL                 serve a volume at an address (http, s3, gs)
  bfly FOLDER -o FILE      only save what was found as a YAML file, to edit it and serve it later
  bfly FOLDER 2001         serve at this port (with -o too)
  bfly FOLDER --voxel-size 40,4,4
                           serve a folder; a voxel of channels whose files state no size has
                           40 nm along z, 4 along y and 4 along x (-o saves it too)
  bfly                     serve the configuration that RH_CONFIG_FILENAME names,
                           or ~/.rh-config.yaml
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data(parser)
        add_server_options(parser)
        parser.add_argument("--version", action="version", version=f"bfly {bfly.__version__}")
        parser.add_argument(
            "--strict", action="store_true", help="refuse a configuration with any mistake"
        )
        parser.add_argument(
            "--voxel-size",
            type=_size,
            metavar="Z,Y,X",
            help="nanometres, for the channels of a folder whose files state no voxel size",
        )

    @override
    def run(self, arguments: Namespace) -> None:
        serve(arguments.exp, arguments, arguments.out, arguments.strict, arguments.voxel_size)


def add_server_options(parser: ArgumentParser) -> None:
    """Add the options of every command that serves."""
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes to serve with (default 1)"
    )
    parser.add_argument("--log-json", action="store_true", help="log one JSON object per line")


def serve(
    experiments: str | None,
    arguments: Namespace,
    output: str | None = None,
    strict: bool = False,
    voxel_size: tuple[float, float, float] | None = None,
) -> None:
    """Serve until the process receives a signal to end, or only save what would be served.

    Parameters
    ----------
    experiments, output, strict, voxel_size
        As for `Butterfly`.
    arguments : Namespace
        The arguments that `add_server_options` adds, and ``port``.
    """
    from rich.console import Console

    from bfly.butterfly import Butterfly
    from bfly.commands.listing import list_channels

    port, host = arguments.port, arguments.host
    butterfly = Butterfly(experiments, output, port, host, strict, voxel_size)
    list_channels(butterfly.config, Console(stderr=True))
    if output is not None and port is None:
        print(f"{output} lists these channels; to serve them: bfly {output}", file=sys.stderr)
        return
    if butterfly.config.developer_mode:
        if arguments.workers > 1:
            raise ButterflyError("In developer-mode there is one worker.")
        _serve_again_on_change(butterfly, arguments.log_json)
    else:
        _serve(butterfly, arguments.log_json, arguments.workers)


def _serve(butterfly: Butterfly, log_json: bool, workers: int = 1) -> None:
    from bfly.commands.logs import set_up
    from bfly.server.descriptors import raise_limit

    raise_limit()
    set_up(butterfly.config.log_level, butterfly.config.log_path, log_json)
    if workers > 1:
        from bfly.commands.supervisor import serve_together

        butterfly.log_start()
        serve_together(butterfly, workers, log_json)
    else:
        butterfly.serve()


def _serve_again_on_change(butterfly: Butterfly, log_json: bool) -> None:
    """Serve in a child process, which is replaced when Butterfly's code changes."""
    from watchfiles import PythonFilter, run_process

    # watchfiles would log each change, and Ctrl-C as a warning.
    logging.getLogger("watchfiles").setLevel(logging.ERROR)
    code = os.path.dirname(os.path.abspath(bfly.__file__))
    run_process(
        code, target=_serve_until_change, args=(butterfly, log_json), watch_filter=PythonFilter()
    )


def _serve_until_change(butterfly: Butterfly, log_json: bool) -> None:
    # The watching process ends this one with an interrupt.
    with suppress(KeyboardInterrupt):
        try:
            _serve(butterfly, log_json)
        except ButterflyError as error:
            log.error("%s", error)


def _size(text: str) -> tuple[float, float, float]:
    from bfly.sources.shared.net import SIZES

    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not three numbers z,y,x") from None
    least, most = SIZES
    if not all(least <= side <= most for side in (z, y, x)):
        raise argparse.ArgumentTypeError(f"{text} is not {least:g} to {most:g} nm along each axis")
    return z, y, x


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {MOST_WORKERS}")
    return int(text)
