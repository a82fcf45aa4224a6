"""Starting of threads when the system may refuse."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bfly.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["starting"]


@contextmanager
def starting() -> Iterator[None]:
    """Convert the error of a thread that cannot be started in the body, also by a pool.

    Raises
    ------
    Busy
        The limit of processes or of memory is reached.
    """
    try:
        yield
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        raise Busy(f"No thread can be started now: {error}.") from error
