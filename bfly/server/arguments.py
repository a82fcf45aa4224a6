"""Arguments of a command line that starts a server: read from it, and made for one."""

from __future__ import annotations

import argparse
import os
from typing import Any

__all__ = ["add_data", "add_port", "to_argv"]


def add_port(parser: argparse.ArgumentParser) -> None:
    """Add the port, which is the configured one unless given."""
    parser.add_argument("port", nargs="?", type=_port, help="port to listen on (default 2001)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add what is served, and where the configuration is saved."""
    parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
    parser.add_argument("-o", "--out", metavar="OUT", help="save the configuration as YAML")


def to_argv(*args: Any, **flags: Any) -> list[str]:
    """Return arguments as a command line like ``sys.argv``.

    Parameters
    ----------
    *args : object
        Positional arguments.
    **flags : object
        Values of flags, in the order of the flags' names.

    Examples
    --------
    >>> to_argv(2001, exp="data")
    ['main', '2001', '--exp', 'data']
    """
    argv = ["main", *map(str, args)]
    for name, value in sorted(flags.items()):
        argv += [f"--{name}" if len(name) > 1 else f"-{name}", str(value)]
    return argv


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        hint = f"; to serve what is there: bfly -e {text}" if os.path.exists(text) else ""
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535{hint}")
    return int(text)
