"""The interface of a command: its arguments, and how it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["Command"]


class Command(ABC):
    """Base of all commands; `bfly.cli` has the table of them.

    Slow imports belong in `run`, so that ``--help`` and mistakes in the arguments are answered
    at once.
    """

    description: ClassVar[str]
    """Text of ``--help`` before the arguments."""

    @abstractmethod
    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's arguments to a parser."""

    @abstractmethod
    def run(self, arguments: Namespace) -> None:
        """Run the command.

        Raises
        ------
        ButterflyError
            The command failed; the message is printed and the exit code is 1.
        """
