"""Jobs on Dask: their arguments, the cluster, and the progress that is shown."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterator

__all__ = ["add_job", "cluster", "each", "progress_bar"]

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Pieces queued for each worker, so that it never waits for the next one."""


def add_job(parser: ArgumentParser) -> None:
    """Add the arguments of a command that runs a job for a channel."""
    parser.add_argument("channel", metavar="CHANNEL", help="its name, or DATASET/CHANNEL …")
    parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of the scheduler of a Dask cluster"
    )


@contextmanager
def cluster(command: str, scheduler: str | None) -> Iterator[Any]:
    """Yield a client of a scheduler, or of a cluster on this machine's cores.

    Parameters
    ----------
    command : str
        The command, for the message that Dask is not installed.
    scheduler : str, optional
        Address of a scheduler.

    Raises
    ------
    MissingLibrary
        Dask is not installed.
    ButterflyError
        The scheduler does not answer.
    """
    from bfly import registry

    with registry.needed(command):
        from distributed import Client
    address = (
        {"address": scheduler}
        if scheduler
        else {
            **{"threads_per_worker": 1, "silence_logs": "ERROR"},
            # Otherwise a second cluster of this machine warns that the port is in use.
            **{"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}},
        }
    )
    try:
        client = Client(**address)
    except (OSError, ValueError) as error:
        raise ButterflyError(f"The scheduler {scheduler} cannot be used: {error}.") from error
    with client:
        yield client


def each(client: Any, work: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """Do a piece of work for each item on the workers, a few ahead; yield what is done.

    Parameters
    ----------
    client : distributed.Client
        As `cluster` yields it.
    work : callable
        It and its results are sent between machines.
    items : iterator
        Taken as the workers need them.
    """
    from distributed import as_completed

    workers = max(1, len(client.scheduler_info()["workers"]))

    def submit(count: int) -> list[Any]:
        return [client.submit(work, item, pure=False) for item in islice(items, count)]

    running = as_completed(submit(AHEAD * workers))
    for future in running:
        yield future.result()
        running.update(submit(1))


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yield a function that takes how much is done."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = *Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(name, total=total)
        yield lambda done: progress.update(bar, completed=done)
