"""``python -m bfly``."""

import sys

from bfly.cli import main

__all__ = ["bfly"]


def bfly() -> None:
    """Run the program with the arguments of the command line, and exit."""
    sys.exit(main())


if __name__ == "__main__":
    bfly()
