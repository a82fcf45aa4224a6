"""Names of the channels and datasets that a scan finds."""

from __future__ import annotations

import os
from collections import Counter
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bfly.storage.part import Part

__all__ = ["dataset_names", "free_name", "name_of"]

AS_NAME = str.maketrans("/,:", "---")
"""Characters of a part that cannot be in the name of a channel."""


def name_of(name: str, part: Part) -> str:
    """Return the name of a channel that is a part of a file or folder."""
    text = str(part).replace("=", "").translate(AS_NAME)
    return f"{name}-{text}" if text else name


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with a number if need be."""
    more = (f"{name}-{number}" for number in count(2))
    return next(new for new in chain([name], more) if new not in taken)


def dataset_names(folders: Iterable[str], top: str) -> dict[str, str]:
    """Return a name for each folder: its last part, or all parts below `top` if not unique."""
    last = {folder: os.path.basename(folder) for folder in sorted(folders)}
    times = Counter(last.values())
    names = {folder: name for folder, name in last.items() if times[name] == 1}
    taken = set(names.values())
    for folder in last:
        if folder not in names:
            inner = os.path.relpath(folder, top)
            name = last[folder] if inner == "." else inner.replace("/", "-")
            names[folder] = free_name(name, taken)
            taken.add(names[folder])
    return names
