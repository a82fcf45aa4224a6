"""Several processes that serve one port: ``bfly --workers N``.

Each worker has its own socket on the port (``SO_REUSEPORT``); the kernel distributes the
connections among them. Workers share the database, edits included, and the folder of their
metrics.

A worker that ends is always replaced. The exception is the first start: if a worker ends before
it served, the command ends with its reason, which may be a mistake of the user.
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
"""Seconds for which a worker may finish its answers before it is killed."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds until a worker that ended soon is replaced: the first delay, and the limit to which
further ones double it. So a machine out of memory does not spend its time on restarts."""

SOON = 30.0
"""Seconds. A worker that served for longer is replaced at once, and its delay starts over."""

_spawn = multiprocessing.get_context("spawn")


def serve_together(butterfly: Butterfly, count: int, log_json: bool = False) -> None:
    """Serve with several processes until this one receives a signal to end.

    A worker that ends is replaced; if it ended soon after its start, after a delay.

    Parameters
    ----------
    butterfly : Butterfly
        The configured server. Its cache size is divided among the workers.
    count : int
        Number of workers.
    log_json : bool
        As in `bfly.commands.logs.set_up`.

    Raises
    ------
    ButterflyError
        The port is not available, the workers would not share their edits, or a worker ended
        before it served.
    """
    # Load tables once here, so that the workers do not.
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
        # A change by one worker would be unknown to the others.
        butterfly.config_file = None
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
    """Reserve a port for the workers; it is not listened on, so it takes no connections."""
    # Fails if another program shares the port among its own processes (SO_REUSEPORT).
    with listen(config.host, config.port) as free:
        port: int = free.getsockname()[1]
        family = free.family
    with socket.socket(family) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((config.host, port))
        yield port


class _Worker:
    """A process that serves, and the processes that replace it.

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
            The system has no free process, memory or file descriptor.
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
            It ended before it served.
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
        """Connections and handles that become ready when the process serves or ends."""
        waiting = self._due < inf
        return [] if waiting else [self.process.sentinel, *([self._news] if self._news else [])]

    @property
    def due(self) -> float | None:
        """Seconds until the next start; None while a process runs."""
        return None if self._due == inf else max(0.0, self._due - monotonic())

    def keep_up(self) -> None:
        """Check the process, and start another when it is due."""
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
        """Record whether the process serves: it sends one message once it does."""
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
    """Serve in a child process until its parent ends."""
    set_up(butterfly.config.log_level, butterfly.config.log_path, log_json)
    # Ctrl-C reaches the whole process group; the parent ends the workers itself.
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
