"""Report of what a scan skipped, for the terminal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from bfly.discovery.scan import Found

__all__ = ["report"]


def report(found: Found, console: Console, most: int = 10) -> None:
    """Print what a scan skipped and why.

    Parameters
    ----------
    found : Found
        The result of `scan`.
    console : rich.console.Console
        Where to print.
    most : int
        Paths shown at most for each reason.
    """

    def show(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    if not found.experiments:
        show("No channel of a known format was found.", "yellow")
    reasons: dict[str, list[str]] = defaultdict(list)
    for path, reason in found.skipped:
        reasons[reason].append(path)
    for reason, paths in sorted(reasons.items()):
        show(f"Skipped {len(paths):,}: {reason}", "yellow")
        for line in _first(paths, most):
            show(f"  {line}")
    if found.others:
        show(f"{_many(found.others, 'other file')} passed over.")


def _first(lines: list[str], most: int) -> list[str]:
    """Return the first lines, and a line with the number of others."""
    rest = len(lines) - most
    return lines if rest <= 0 else [*lines[:most], f"… {rest:,} more"]


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
