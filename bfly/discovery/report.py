"""Report of what a scan skipped, for the terminal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from bfly.discovery.scan import Found

__all__ = ["by_reason", "notes_of", "passed_over", "report"]


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

    for line in _first(_tables(found), most):
        show(line)
    if not found.experiments:
        show("No channel of a known format was found.", "yellow")
    for what, listed in (("Skipped", found.skipped), ("Not served", found.unread)):
        for reason, paths in by_reason(listed):
            show(f"{what} {len(paths):,}: {reason}", "yellow")
            for line in _first(paths, most):
                show(f"  {line}")
    for line in passed_over(found):
        show(line)


def passed_over(found: Found) -> list[str]:
    """Return a line that names the files of other kinds; none if there are none."""
    kinds = ", ".join(map(str, found.passed_over))
    return [f"Passed over: {kinds}."] if kinds else []


def notes_of(found: Found) -> list[str]:
    """Return lines for the log: tables, files that are not read by kind, and all others."""
    lines = _tables(found)
    for reason, paths in by_reason(found.unread):
        names = f"{paths[0]} …" if len(paths) > 1 else paths[0]
        lines.append(f"Not served: {_many(len(paths), 'file')} ({names}): {reason}.")
    return lines + passed_over(found)


def _tables(found: Found) -> list[str]:
    """Return lines on the tables that are served, and on merge tables, which a command imports."""
    lines = [f"Table {path}: {what}" for path, what in found.tables]
    return lines + [
        f"Merge table {path}: it is applied once it is imported: {command}"
        for path, command in found.merges
    ]


def by_reason(listed: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the paths of each reason, sorted by reason."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for path, reason in listed:
        reasons[reason].append(path)
    return sorted(reasons.items())


def _first(lines: list[str], most: int) -> list[str]:
    """Return the first lines, and a line with the number of others."""
    rest = len(lines) - most
    return lines if rest <= 0 else [*lines[:most], f"… {rest:,} more"]


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
