"""The contract of a command: its arguments, and what it does with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["Command"]


class Command(ABC):
    """Base of all commands; `bfly.cli` has the table of them.

    What takes long to import is imported in `run`, so that ``--help`` and mistakes in the
    arguments are answered at once.
    """

    description: ClassVar[str]
    """What ``--help`` says before the arguments."""

    @abstractmethod
    def add_arguments(self, parser: ArgumentParser) -> None:
        """Tell a parser what the command takes."""

    @abstractmethod
    def run(self, arguments: Namespace) -> None:
        """Do it.

        Raises
        ------
        ButterflyError
            It cannot be done; the message is printed and the exit code is 1.
        """
