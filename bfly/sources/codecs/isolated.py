"""Decoders that may crash on damaged data, in processes of their own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import resource
import threading
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import Any

from bfly.errors import SourceError

__all__ = ["isolated"]

PATIENCE = 60.0
"""Seconds until a decoder is given up."""

MEMORY = 8 << 30
"""Bytes of address space of such a process."""

PROCESSES = 2
"""Processes that decode at the same time."""


class _Pool:
    """The processes that all threads share, started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def get(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = _new_pool(min(PROCESSES, os.cpu_count() or 1))
            return self._pool

    def drop(self, pool: ProcessPoolExecutor | None = None) -> None:
        """End the processes, at once, if they are still those of `pool`."""
        with self._lock:
            if self._pool is None or pool not in (None, self._pool):
                return
            pool, self._pool = self._pool, None
        _end(pool)


_shared = _Pool()
atexit.register(_shared.drop)


def isolated(module: str, function: str, data: bytes, what: str) -> Any:
    """Return what a function makes of data, in another process.

    Parameters
    ----------
    module, function : str
        The function; it takes the data alone.
    data : bytes
        Its argument.
    what : str
        Name of the data in messages.

    Raises
    ------
    SourceError
        The function raises an error, ends its process, or takes longer than `PATIENCE`.
    """
    pool = _shared.get()
    try:
        return _run(pool, module, function, data, what)
    except BrokenProcessPool:
        # Other data, decoded at the same time, may have ended the process.
        _shared.drop(pool)
    alone = _new_pool(1)
    try:
        return _run(alone, module, function, data, what)
    except BrokenProcessPool as error:
        raise SourceError(f"{what} is damaged: its decoder crashed.") from error
    finally:
        _end(alone)


def _run(pool: ProcessPoolExecutor, module: str, function: str, data: bytes, what: str) -> Any:
    try:
        running = pool.submit(_called, module, function, data)
    except RuntimeError as error:
        raise BrokenProcessPool("It was ended by another thread.") from error
    try:
        return running.result(PATIENCE)
    except (BrokenProcessPool, CancelledError) as error:
        raise BrokenProcessPool("One of its processes ended.") from error
    except TimeoutError as error:
        _shared.drop(pool)
        raise SourceError(f"{what} is not decoded within {PATIENCE:g} s.") from error
    except Exception as error:
        raise SourceError(f"{what} cannot be decoded: {error}.") from error


def _called(module: str, function: str, data: bytes) -> Any:
    return getattr(import_module(module), function)(data)


def _new_pool(count: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=_limit)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
