"""Checks for missing, empty or truncated files, and for unreadable voxels."""

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
"""Maximum number of files of a channel that are checked, from the first."""

TAIL = 4096
"""Bytes searched for the end marker of an image: programs may append a few bytes to it."""

ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
"""End marker of a complete image, which occurs nowhere else in it."""


def files(subject: Subject) -> Iterator[Finding]:
    """Check for missing, empty or truncated files."""
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
        broken = [path for path in looked_at if look(path)]
        if broken:
            are = "is" if len(broken) == 1 else "are"
            yield Finding(
                "files",
                f"{len(broken):,} of {len(looked_at):,} files {are} {what}: {_first(broken)}.",
                "Copy or write them again.",
                is_error=True,
            )


def damage(subject: Subject) -> Iterator[Finding]:
    """Report sample tiles that cannot be read."""
    errors = [sample.error for sample in subject.samples if sample.error]
    if errors:
        yield Finding(
            "damage",
            f"{len(errors)} of {len(subject.samples)} tiles looked at cannot be read: {errors[0]}",
            "Copy or write the file again.",
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
