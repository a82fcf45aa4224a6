"""The command ``bfly``, and the table of the commands below it."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.commands.command import Command

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": ("bfly.commands.demo:Demo", "make synthetic tissue and serve it"),
    "doctor": ("bfly.commands.doctor:Doctor", "find what is wrong with channels and how to fix it"),
    "edits": ("bfly.commands.edits:EditsCommand", "import and export merge tables, print the log"),
    "index": ("bfly.commands.index:IndexCommand", "build the label index of a segmentation"),
    "mesh": ("bfly.commands.mesh:MeshCommand", "make meshes of segments in advance"),
    "pyramid": ("bfly.commands.pyramid:PyramidCommand", "compute the mips of a channel in advance"),
    "skeleton": ("bfly.commands.skeleton:SkeletonCommand", "make the skeletons of segments"),
}
"""Command name → its class, and its line in the help of ``bfly``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words of the command line; those of this process unless given.

    Returns
    -------
    int
        The exit code: 0, 1 after an error message, or 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    named = words[0] if words and words[0] in COMMANDS else None
    place = COMMANDS[named][0] if named else "bfly.commands.serve:Serve"
    module, _, name = place.partition(":")
    command: Command = getattr(import_module(module), name)()
    parser = ArgumentParser(
        f"bfly {named}" if named else "bfly",
        description=command.description,
        epilog=None if named else _commands(),
        formatter_class=RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    if meant := None if named else _meant(words):
        print(f"bfly: {meant}", file=sys.stderr)
        return 1
    parsed = parser.parse_args(words[1:]) if named else parser.parse_intermixed_args(words)
    try:
        command.run(parsed)
    except ButterflyError as error:
        print(f"bfly: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _meant(words: Sequence[str]) -> str:
    """Return a message about a first word that resembles a command; "" if it is fine."""
    word = words[0] if words else ""
    near = get_close_matches(word, COMMANDS, 1, 0.7)
    if not near or os.path.lexists(word):
        return ""
    return f"{word} is neither a command nor a file. Did you mean 'bfly {near[0]}'?"


def _commands() -> str:
    lines = [f"  bfly {name:<15} {what}" for name, (_, what) in sorted(COMMANDS.items())]
    return "\n".join(["commands (each has its own --help):", *lines])
