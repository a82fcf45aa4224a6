"""Check for other volumes in the file or folder of a channel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["parts"]

SHOWN = 5
"""Maximum number of volumes that are named."""


def parts(subject: Subject) -> Iterator[Finding]:
    """Report other volumes if a path names none of several; a scan of a folder adds them all."""
    source = subject.source
    if source.part or os.path.isdir(subject.experiments):
        return
    others = [part for part in source.parts(source.path, source.files) if part]
    if others:
        named = ", ".join(map(str, others[:SHOWN])) + (", …" if len(others) > SHOWN else "")
        yield Finding(
            "parts",
            f"There are {len(others):,} other volumes in it: {named}.",
            f"Add a channel for each that is wanted, such as path: {source.path}#{others[0]}.",
        )
