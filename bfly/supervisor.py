"""Several processes that serve one port together: ``bfly --workers N``.

Each has its own socket on the port (``SO_REUSEPORT``), among which the kernel shares out the
connections. What they have in common lies in the database, edits included, and in the folder of
their metrics.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from multiprocessing import connection
from signal import SIGINT, SIGTERM, signal
from typing import TYPE_CHECKING, Any

from bfly.edits.edits import opened_log
from bfly.errors import ButterflyError
from bfly.logs import set_up
from bfly.metrics import FOLDER, mark_process_dead
from bfly.webserver import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import SpawnProcess
    from multiprocessing.synchronize import Event

    from bfly.butterfly import Butterfly
    from bfly.config import Config

__all__ = ["serve_together"]

log = logging.getLogger(__name__)

PATIENCE = 15
"""Seconds for which a worker may end by itself, answers under way included."""

_spawn = multiprocessing.get_context("spawn")


def serve_together(butterfly: Butterfly, count: int, log_json: bool = False) -> None:
    """Serve with several processes until this one is told to end.

    A worker that ends is replaced, but not one that ends before it served: then all end.

    Parameters
    ----------
    butterfly : Butterfly
        What to serve. The memory of its cache is shared out among the workers.
    count : int
        How many workers.
    log_json : bool
        As `bfly.logs.set_up` takes it.

    Raises
    ------
    ButterflyError
        The port cannot be had, the database's edits would be each worker's own, or a worker
        ended before it served.
    """
    # Tables are loaded here once; the workers find them loaded.
    database = butterfly.database().load_config(butterfly.config.dump())
    edits = opened_log(database)
    edits.close()
    if not edits.durable:
        raise ButterflyError(
            f"{count} workers need a database that they share, such as Sqlite, or an edit-path: "
            "edits in memory would be each worker's own."
        )
    config = butterfly.config
    shared = max(1, config.max_cache_size // count)
    with _reserved(config) as port, tempfile.TemporaryDirectory(prefix="bfly-metrics-") as folder:
        os.environ[FOLDER] = folder
        butterfly.config = config.replace(max_cache_size=shared, port=port, db_update=False)
        workers = [_Worker(butterfly, log_json) for _ in range(count)]
        old = signal(SIGTERM, _interrupt)
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.wait()
            address = f"http://{config.host}:{port}/"
            pids = ", ".join(str(worker.process.pid) for worker in workers)
            log.info("Butterfly serves %s with the workers %s (Ctrl-C ends it)", address, pids)
            while True:
                ended = connection.wait([worker.process.sentinel for worker in workers])
                for worker in workers:
                    if worker.process.sentinel in ended:
                        code = worker.process.exitcode
                        log.warning("A worker ended with exit code %s; another is started", code)
                        mark_process_dead(worker.process.pid, folder)  # type: ignore[no-untyped-call]
                        worker.start()
                        worker.wait()
        finally:
            for worker in workers:
                worker.end()
            signal(SIGTERM, old)


@contextmanager
def _reserved(config: Config) -> Iterator[int]:
    """Keep a port for the workers; without listening, so that it takes no connections."""
    # A port that another program shares with its own kin is not free for us.
    with listen(config.host, config.port) as free:
        port: int = free.getsockname()[1]
        family = free.family
    with socket.socket(family) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((config.host, port))
        yield port


class _Worker:
    """A process that serves, and after it the one that replaces it."""

    process: SpawnProcess

    def __init__(self, butterfly: Butterfly, log_json: bool) -> None:
        self._arguments = butterfly, log_json
        self._ready: Event

    def start(self) -> None:
        self._ready = _spawn.Event()
        self.process = _spawn.Process(target=_serve, args=(*self._arguments, self._ready))
        self.process.start()

    def wait(self) -> None:
        """Wait until it serves."""
        while not self._ready.wait(0.1):
            if self.process.exitcode is not None:
                code = self.process.exitcode
                raise ButterflyError(f"A worker ended with exit code {code} before it served.")

    def end(self) -> None:
        if not hasattr(self, "process"):
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _serve(butterfly: Butterfly, log_json: bool, ready: Event) -> None:
    """Serve, in a process of its own, for as long as the one that started it runs."""
    set_up(butterfly.config.log_level, butterfly.config.log_path, log_json)
    # Ctrl-C reaches the whole group; the first process passes it on.
    signal(SIGINT, lambda *_: None)
    server = butterfly.server()

    def watch() -> None:
        if server.wait():
            ready.set()
        parent = multiprocessing.parent_process()
        assert parent is not None
        connection.wait([parent.sentinel])
        server.stop()

    threading.Thread(target=watch, daemon=True).start()
    try:
        server.shared = True
        server.start()
    except ButterflyError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
