"""``bfly``: serve a folder, or what a configuration lists."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly import __version__
from bfly.commands.command import Command

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["Serve", "add_server_arguments", "serve"]


class Serve(Command):
    """What ``bfly`` does unless a command is named."""

    description = """\
Serve connectomics volumes from the files where they lie.

  bfly -e FOLDER           find every channel below a folder and serve it
  bfly -e FILE.yaml        serve what a configuration lists
  bfly -e FOLDER -o FILE   ... and save what was found, to edit and serve later
  bfly                     serve the file that RH_CONFIG_FILENAME names,
                           or ~/.rh-config.yaml
"""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_server_arguments(parser)
        parser.add_argument("--version", action="version", version=f"bfly {__version__}")
        parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
        parser.add_argument("-o", "--out", metavar="OUT", help="save what was found as YAML")

    @override
    def run(self, arguments: Namespace) -> None:
        serve(arguments.exp, arguments.out, arguments)


def add_server_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of every command that serves."""
    parser.add_argument("port", nargs="?", type=_port, help="port to listen on (default 2001)")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")


def serve(experiments: str | None, output: str | None, arguments: Namespace) -> None:
    """Serve until the process is told to end.

    Parameters
    ----------
    experiments, output : str, optional
        As for `Butterfly`.
    arguments : Namespace
        Has those of `add_server_arguments`.
    """
    from bfly.butterfly import Butterfly
    from bfly.logs import set_up

    butterfly = Butterfly(experiments, output, arguments.port, arguments.host)
    set_up(butterfly.config.log_level, butterfly.config.log_path, arguments.log_json)
    butterfly.serve()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)
