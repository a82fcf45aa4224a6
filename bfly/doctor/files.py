"""Files that are missing, empty or cut short, and voxels that cannot be read."""

from __future__ import annotations

import os
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding
from bfly.errors import NotAllowed, SourceError
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.doctor.subject import Subject
    from bfly.storage.files import Files

__all__ = ["damage", "files"]

LOOKED_AT = 10_000
"""How many files of a channel are looked at: the first ones."""

TAIL = 4096
"""Bytes at the end of an image in which its last mark is looked for: programs may add a few."""

ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
"""The last mark of a whole image; it occurs nowhere else in one."""


def files(subject: Subject) -> Iterator[Finding]:
    """Look for files that are missing, empty or cut short."""
    if is_url(subject.source.path):
        return
    there = list(islice(subject.source.all_files(), LOOKED_AT))
    looks: tuple[tuple[str, Iterable[str], Callable[[str], bool]], ...] = (
        ("not there", islice(subject.source.listed_files(), LOOKED_AT), _is_missing),
        ("empty", there, _is_empty),
        ("cut short", there, partial(_is_cut, subject.source.files)),
    )
    for what, paths, look in looks:
        looked_at = list(paths)
        found = [path for path in looked_at if look(path)]
        if found:
            are = "is" if len(found) == 1 else "are"
            yield Finding(
                "files",
                f"{len(found):,} of {len(looked_at):,} files {are} {what}: {_first(found)}.",
                "Copy or write them once more.",
                is_error=True,
            )


def damage(subject: Subject) -> Iterator[Finding]:
    """Say which of the tiles that were looked at cannot be read."""
    errors = [sample.error for sample in subject.samples if sample.error]
    if errors:
        yield Finding(
            "damage",
            f"{len(errors)} of {len(subject.samples)} tiles looked at cannot be read: {errors[0]}",
            "Copy or write the file once more.",
            is_error=True,
        )


def _is_missing(path: str) -> bool:
    return not os.path.exists(path)


def _is_empty(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _is_cut(files: Files, path: str) -> bool:
    end = ENDS.get(os.path.splitext(path)[1].lower())
    if end is None:
        return False
    try:
        with files.file(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            return size > 0 and end not in file.read()
    except (OSError, NotAllowed, SourceError):
        return False


def _first(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
