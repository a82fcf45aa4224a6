"""Several processes that serve one port together: ``bfly --workers N``.

Each has its own socket on the port (``SO_REUSEPORT``), among which the kernel shares out the
connections. What they have in common is in the database, edits included, and in the folder of
their metrics.

A worker that ends is replaced, as often as it takes. Only at the first start does one that ends
before it served end the command: then its reason is one to show, such as a mistake.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from math import inf
from multiprocessing import connection
from signal import SIGINT, SIGTERM, signal
from time import monotonic
from typing import TYPE_CHECKING, Any

from bfly.commands.logs import set_up
from bfly.concurrency.threads import starting
from bfly.databases.edit_logs import opened_log
from bfly.errors import ButterflyError
from bfly.metrics import FOLDER, mark_process_dead
from bfly.server.webserver import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from bfly.butterfly import Butterfly
    from bfly.config.config import Config

__all__ = ["serve_together"]

log = logging.getLogger(__name__)

PATIENCE = 15
"""Seconds for which a worker may end by itself, answers under way included."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds until a worker that ended soon is replaced: the first time, and at most after each
further one has doubled them. So a machine without memory is not kept busy by starts alone."""

SOON = 30.0
"""Seconds of serving before the end of a worker counts as a single accident."""

_spawn = multiprocessing.get_context("spawn")


def serve_together(butterfly: Butterfly, count: int, log_json: bool = False) -> None:
    """Serve with several processes until this one is told to end.

    A worker that ends is replaced; one that ends soon after its start, after a while.

    Parameters
    ----------
    butterfly : Butterfly
        What to serve. The memory of its cache is shared out among the workers.
    count : int
        How many workers.
    log_json : bool
        As `bfly.commands.logs.set_up` takes it.

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
        workers = [_Worker(butterfly, log_json, folder) for _ in range(count)]
        old = signal(SIGTERM, _interrupt)
        try:
            for worker in workers:
                try:
                    worker.start()
                except OSError as error:
                    raise ButterflyError(f"A worker cannot be started: {error}.") from error
            for worker in workers:
                worker.wait()
            address = f"http://{config.host}:{port}/"
            pids = ", ".join(str(worker.process.pid) for worker in workers)
            log.info("Butterfly serves %s with the workers %s (Ctrl-C ends it)", address, pids)
            while True:
                for worker in workers:
                    worker.keep_up()
                connection.wait(
                    [event for worker in workers for event in worker.events],
                    min((due for each in workers if (due := each.due) is not None), default=None),
                )
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
    """A process that serves, and after it each one that replaces it.

    Parameters
    ----------
    butterfly, log_json
        As for `serve_together`.
    metrics : str
        The folder of the metrics.
    """

    process: SpawnProcess

    def __init__(self, butterfly: Butterfly, log_json: bool, metrics: str) -> None:
        self._arguments = butterfly, log_json
        self._metrics = metrics
        self._news: Connection | None = None
        self._served: float | None = None
        self._delay = 0.0
        self._due = inf

    def start(self) -> None:
        """Start a process.

        Raises
        ------
        OSError
            The system has no process, memory or file for it.
        """
        self._served, self._due = None, inf
        self._news, said = _spawn.Pipe(duplex=False)
        try:
            process = _spawn.Process(target=_serve, args=(*self._arguments, said))
            process.start()
            self.process = process
        finally:
            said.close()

    def wait(self) -> None:
        """Wait until the first process serves.

        Raises
        ------
        ButterflyError
            It ended before.
        """
        assert self._news
        connection.wait([self._news, self.process.sentinel])
        self._hear()
        if self._served is None:
            self.process.join(PATIENCE)
            code = self.process.exitcode
            raise ButterflyError(f"A worker ended with exit code {code} before it served.")

    @property
    def events(self) -> list[Connection | int]:
        """What changes when the process serves, or ends."""
        waiting = self._due < inf
        return [] if waiting else [self.process.sentinel, *([self._news] if self._news else [])]

    @property
    def due(self) -> float | None:
        """Seconds until it is to be started again; None while a process runs."""
        return None if self._due == inf else max(0.0, self._due - monotonic())

    def keep_up(self) -> None:
        """Take notice of what happened, and start another process when it is time."""
        if self._due == inf:
            self._hear()
            if self.process.exitcode is not None:
                mark_process_dead(self.process.pid, self._metrics)  # type: ignore[no-untyped-call]
                before = "" if self._served is not None else " before it served"
                self._delay_start(f"A worker ended with exit code {self.process.exitcode}{before}")
        elif monotonic() >= self._due:
            try:
                self.start()
            except OSError as error:
                self._delay_start(f"A worker cannot be started ({error})")

    def _hear(self) -> None:
        """Note whether the process serves: it says one word, or nothing and ends."""
        if self._news and self._news.poll():
            with suppress(EOFError, OSError):
                self._news.recv_bytes()
                self._served = monotonic()
            self._news.close()
            self._news = None

    def _delay_start(self, reason: str) -> None:
        if self._served is not None and monotonic() - self._served >= SOON:
            self._delay = 0.0
        else:
            self._delay = min(LONGEST_DELAY, max(FIRST_DELAY, 2 * self._delay))
        self._due = monotonic() + self._delay
        log.warning("%s; another is started in %g s", reason, self._delay)

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


def _serve(butterfly: Butterfly, log_json: bool, serving: Connection) -> None:
    """Serve, in a process of its own, for as long as the one that started it runs."""
    set_up(butterfly.config.log_level, butterfly.config.log_path, log_json)
    # Ctrl-C reaches the whole group; the first process passes it on.
    signal(SIGINT, lambda *_: None)
    try:
        server = butterfly.server()

        def watch() -> None:
            if server.wait():
                serving.send_bytes(b"serving")
            parent = multiprocessing.parent_process()
            assert parent is not None
            connection.wait([parent.sentinel])
            server.stop()

        with starting():
            threading.Thread(target=watch, daemon=True).start()
        server.shared = True
        server.start()
    except ButterflyError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
