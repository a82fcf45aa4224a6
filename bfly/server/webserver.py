"""The web server, which runs the application on a port."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from bfly.config.config import Config
from bfly.core.core import Core
from bfly.errors import ButterflyError
from bfly.server.application import Application
from bfly.server.guard import HeaderGuard
from bfly.server.middleware import Measured
from bfly.server.serving import LimitedServer
from bfly.server.websocket import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.databases.database import Database

__all__ = ["Webserver", "listen"]

log = logging.getLogger(__name__)


class Webserver:
    """Serves the channels of a configuration.

    Parameters
    ----------
    db : Database
        Loaded from the same configuration.
    config : Config or dict
        The configuration; a dictionary is the content of the YAML file, or of its ``bfly``.

    Attributes
    ----------
    port : int
        The port that is served.
    shared : bool
        Whether other processes serve the same port; set before `start`.
    RUNTIME : RUNTIME
        That of the database.
    _db, _core, _webapp
        The database, the core on it, and the ASGI application.
    """

    _maxbuffer = MOST
    """Bytes of the largest message of a client."""

    def __init__(self, db: Database, config: Config | Mapping[str, Any]) -> None:
        if not isinstance(config, Config):
            config = Config.parse(config if "bfly" in config else {"bfly": {**config}}, "config")
        self._config = config
        self._db, self.RUNTIME = db, db.RUNTIME
        self._core = Core(db)
        self._application = Application(self._core, config)
        guarded = HeaderGuard(self._application, config)
        self._webapp = Measured(guarded, self._application.prefixes)
        self._server: LimitedServer | None = None
        self._listening = threading.Event()
        self._stopped = threading.Event()
        self.port = config.port
        self.shared = False

    def allow_changes(self, config_file: str | None) -> None:
        """Let requests of the page change the YAML file of the configuration; None forbids it."""
        self._application.allow_changes(config_file)

    @property
    def _port(self) -> int:
        """The documented name of `port`."""
        return self.port

    def start(self, port: int | None = None) -> None:
        """Serve until `stop` is called or the process receives a signal to end.

        Parameters
        ----------
        port : int, optional
            Overrides the configured one; 0 selects a free port, which is stored in `port`.

        Raises
        ------
        ButterflyError
            The port is not available.
        """
        wanted = self._config.port if port is None else port
        host = self._config.host
        listener = listen(host, wanted, self.shared)
        self.port = listener.getsockname()[1]
        self._server = LimitedServer(self._webapp)
        level = logging.DEBUG if self.shared else logging.INFO
        log.log(level, "Butterfly serves http://%s:%s/ (Ctrl-C ends it)", host, self.port)
        if not self._core.edits.log.durable:
            log.warning(
                "Edits and annotations are lost when the server ends: "
                "this database is in memory only"
            )
        self._listening.set()
        try:
            self._server.run(sockets=[listener])
        finally:
            listener.close()
            self._core.close()
            self._stopped.set()

    def wait(self, seconds: float = 30) -> bool:
        """Wait, in another thread than `start`, until the port is open."""
        return self._listening.wait(seconds)

    def stop(self) -> None:
        """End `start`, from any thread; responses in progress are still sent."""
        if self._server is not None:
            self._server.should_exit = True
            self._stopped.wait(10)


def listen(host: str, port: int, shared: bool = False) -> socket.socket:
    """Listen on a port.

    Parameters
    ----------
    host, port
        The address; port 0 selects a free port.
    shared : bool
        Whether other processes listen on the same port.

    Raises
    ------
    ButterflyError
        The port is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, reuse_port=shared)
    except (OSError, OverflowError, ValueError) as error:
        raise ButterflyError(f"Port {port} of {host} cannot be had: {error}.") from error
