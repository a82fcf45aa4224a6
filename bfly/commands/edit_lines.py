"""``bfly edits branch``, ``snapshot``, ``diff`` and ``merge``."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Answer = Callable[[str, dict[str, Any]], str]

__all__ = ["LINE_ACTIONS", "print_lines"]

LINE_ACTIONS = ("branch", "snapshot", "diff", "merge")

LISTS = {"branch": "branches", "snapshot": "snapshots"}

PAGE = 1000
"""Differences of an answer."""

SHOWN = 8
"""Segments of a difference that are printed at most."""


def print_lines(action: str, what: Sequence[str], at: str | None, answer: Answer) -> None:
    """Print the answer to an action.

    Parameters
    ----------
    action : str
        One of `LINE_ACTIONS`.
    what : sequence of str
        Its words.
    at : str, optional
        The state to name, or to branch from.
    answer : callable
        Returns the answer to an action of `bfly.queries.edit_actions` with its words, as JSON.

    Raises
    ------
    BadRequest
        A choice is not OPERATION=ours or OPERATION=theirs.
    """
    if action in LISTS and not what:
        for line in json.loads(answer("branches", {}))[LISTS[action]]:
            last = [f"last {line['last']}"] if "last" in line else []
            begun = f"from {line['from']}@{line['at']}"
            print("\t".join([line["name"], begun, *last, line["time"], line["user"] or "-"]))
    elif action in LISTS:
        print(answer(action, {"name": what[0], "at": at, "user": getpass.getuser()}))
    elif action == "diff":
        for line in _differences(what[0], answer):
            print(line)
    else:
        asked = {"from": what[0], "choices": _choices(what[1:]), "user": getpass.getuser()}
        print(answer("merge-branch", asked))


def _choices(words: Sequence[str]) -> dict[str, str]:
    from bfly.errors import BadRequest

    choices = dict(word.partition("=")[::2] for word in words)
    for operation, choice in choices.items():
        if choice not in ("ours", "theirs"):
            raise BadRequest(f"{operation}={choice} is not OPERATION=ours or OPERATION=theirs.")
    return choices


def _differences(other: str, answer: Answer) -> Iterator[str]:
    """Yield a line for each difference: its box, its supervoxels, and the segments."""
    start, total = 0, 1
    while start < total:
        found = json.loads(answer("diff", {"from": other, "start": start, "count": PAGE}))
        total = found["total"]
        for each in found["differences"]:
            yield "\t".join(
                [
                    _box(each["low"], each["high"]),
                    f"{each['count']} supervoxels",
                    f"{_ids(each['from'])} -> {_ids(each['to'])}",
                ]
            )
        start += PAGE


def _box(low: list[int] | None, high: list[int] | None) -> str:
    if low is None or high is None:
        return "-"
    return " ".join(f"{axis} {a}-{b}" for axis, a, b in zip("xyz", low, high, strict=True))


def _ids(segments: list[dict[str, Any]]) -> str:
    names = [each["id"] for each in segments[:SHOWN]]
    return " ".join([*names, *["…"] * (len(segments) > SHOWN)])
