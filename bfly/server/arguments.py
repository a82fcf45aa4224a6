"""Arguments of a command line that starts a server: read from it, and made for one."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_data", "add_port", "to_argv"]


def add_port(parser: argparse.ArgumentParser) -> None:
    """Add the port, which is the configured one unless given."""
    parser.add_argument("port", nargs="?", type=_port, help="port to listen on (default 2001)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add what is served, the port, and where the configuration is saved.

    What is served and the port are words in any order: a number is the port. Words between
    options are all found by ``parser.parse_intermixed_args``.
    """
    parser.usage = f"{parser.prog} [FILE|FOLDER|URL] [PORT] [options]"
    parser.add_argument(
        "port",
        nargs="*",
        action=_Word,
        default=None,
        metavar="FILE|FOLDER|URL",
        help="a volume, a folder with data, or a YAML file; a number is the port to listen on "
        "(default 2001)",
    )
    parser.add_argument("-e", "--exp", metavar="EXP", help="the same, as an option")
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        help="save the configuration as YAML, and serve only if a port is given",
    )


class _Word(argparse.Action):
    """Sets the port by a number, and what is served by any other word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for word in values or ():
            if word.isascii() and word.isdigit():
                try:
                    name, value = "port", _port(word)
                except argparse.ArgumentTypeError as error:
                    parser.error(f"argument port: {error}")
            else:
                name, value = "exp", word
            if getattr(namespace, name, None) is not None:
                parser.error(f"{word} is one too many beside {getattr(namespace, name)}")
            setattr(namespace, name, value)


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
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)
