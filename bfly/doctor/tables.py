"""Check of the files with the neurons and synapses of a dataset."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bfly.doctor.examine import Examined
from bfly.doctor.finding import Finding
from bfly.errors import ButterflyError, SourceError
from bfly.tables import batches, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.storage.files import Files
    from bfly.tables import TableSource

__all__ = ["examine_tables"]

PATIENCE = 10.0
"""Seconds after which a file is not read further."""


def examine_tables(name: str, dataset: Mapping[str, Any], files: Files) -> Iterator[Examined]:
    """Read the files of a dataset, and yield those that cannot be used.

    Parameters
    ----------
    name : str
        Name of the dataset in the report.
    dataset : mapping
        As for `sources_of`.
    files : Files
        Access to the allowed folders.
    """
    try:
        sources = sources_of(dataset, files)
    except ButterflyError as error:
        yield _wrong(name, dataset["path"], error)
        return
    for source in filter(None, sources):
        try:
            _read(source, files)
        except ButterflyError as error:
            yield _wrong(name, source.path, error)


def _read(source: TableSource, files: Files) -> None:
    """Read a file to its end, or as far as `PATIENCE` allows."""
    end = time.monotonic() + PATIENCE

    def check(_done: float) -> None:
        if time.monotonic() > end:
            raise _Enough

    try:
        for _ in batches(source, files, check):
            pass
    except _Enough:
        return


class _Enough(Exception):
    """The time is over."""


def _wrong(name: str, path: str, error: ButterflyError) -> Examined:
    remedy = "Write it again, or take it away: the channels are served without it."
    return Examined(
        name,
        path,
        None,
        [
            Finding(
                "metadata",
                str(error),
                remedy if isinstance(error, SourceError) else "",
                is_error=True,
            )
        ],
    )
