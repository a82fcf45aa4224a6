"""Check for merge tables in the file of a segmentation."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["merges"]


def merges(subject: Subject) -> Iterator[Finding]:
    """Report tables that assign the supervoxels of a file to segments, which are not applied."""
    source = subject.source
    if source.kind != "segmentation":
        return
    experiments = f"-e {shlex.quote(subject.experiments)} " if subject.experiments else ""
    for table in source.merge_tables(source.path, source.files):
        words = f"{shlex.quote(subject.name)} {shlex.quote(table)}"
        yield Finding(
            "merge-table",
            f"There is a merge table beside it, {table}: it is applied once it is imported.",
            f"bfly edits import {experiments}{words}",
        )
