"""The web server: one ASGI application in front of the protocols, and the table of errors."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import uvicorn

from bfly.config import Config
from bfly.core import Core
from bfly.errors import (
    Absent,
    BadRequest,
    ButterflyError,
    DatabaseError,
    MissingLibrary,
    NotAllowed,
    SourceError,
    TooLarge,
)
from bfly.protocols.api import API
from bfly.protocols.pages import Health, Index
from bfly.protocols.precomputed import Precomputed
from bfly.queries.data import DataQuery
from bfly.respond import Answer, accepts_gzip, preflight, respond, send_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.databases.database import Database
    from bfly.protocols.protocol import Protocol
    from bfly.queries.info import InfoQuery
    from bfly.respond import Send

__all__ = ["STATUSES", "Application", "Webserver"]

log = logging.getLogger(__name__)

STATUSES: dict[type[ButterflyError], int] = {
    TooLarge: 413,
    BadRequest: 400,
    NotAllowed: 403,
    Absent: 404,
    MissingLibrary: 503,
    DatabaseError: 503,
    SourceError: 503,
}
"""From an error to the status that it is answered with; the first class that fits counts."""


class Application:
    """Answers HTTP: a finished answer from the cache at once, all else from the pool.

    Parameters
    ----------
    core : Core
        Answers the queries.
    config : Config
        What is served.
    """

    def __init__(self, core: Core, config: Config) -> None:
        self._core = core
        self._protocols: dict[str, Protocol] = {
            protocol.prefix: protocol(config) for protocol in (API, Health, Index, Precomputed)
        }
        self._under_way: dict[str, asyncio.Future[Answer]] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: object, send: Send) -> None:
        """Answer a request, as ASGI 3 has it."""
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not spoken here")
        headers = dict(scope["headers"])
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            if method == "OPTIONS":
                await preflight(headers, send)
            else:
                message = f"The method {method} is not in ['GET', 'HEAD', 'OPTIONS']."
                await send_text(send, 405, message, method, [(b"allow", b"GET, HEAD, OPTIONS")])
            return
        # A range counts the bytes of the voxels, so they are not packed for it.
        gzip = b"range" not in headers and accepts_gzip(headers.get(b"accept-encoding", b""))
        query_string = scope["query_string"].decode("latin-1")
        key = f"answer:{scope['raw_path'].decode('latin-1')}?{query_string}{' gzip' * gzip}"
        try:
            answer = self._core.recall(key)
            if not answer or not answer.is_fresh():
                answer = await self._made(key, scope["path"], query_string, gzip)
        except ButterflyError as error:
            status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
            if status >= 500:
                log.warning("%s %s: %s", status, scope["path"], error)
            await send_text(send, status, str(error), method)
        except Exception:
            log.exception("500 %s", scope["path"])
            await send_text(send, 500, "This is a mistake in Butterfly; its log says more.", method)
        else:
            await respond(answer, method, headers, send)

    async def _made(self, key: str, path: str, query_string: str, gzip: bool) -> Answer:
        """Make an answer in the pool; who asks for the same meanwhile gets the same."""
        future = self._under_way.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            executor = self._core.executor
            future = loop.run_in_executor(executor, self._make, key, path, query_string, gzip)
            self._under_way[key] = future
            future.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(future)

    def _make(self, key: str, path: str, query_string: str, gzip: bool) -> Answer:
        prefix, _, rest = path.lstrip("/").partition("/")
        protocol = self._protocols.get(prefix)
        if protocol is None:
            raise Absent(f"There is no page {path}; there are {sorted(self._protocols)}.")
        query = protocol.query(rest, dict(parse_qsl(query_string, keep_blank_values=True)))
        known = self._core.recall(key)
        if known and query.path and known.volume is self._core.update_query(query)["volume"]:
            return known  # type: ignore[no-any-return]
        answer = Answer.make(self._body(query), query.mime_type, query.known_volume, gzip)
        self._core.remember(key, answer)
        return answer

    def _body(self, query: DataQuery | InfoQuery) -> bytes | memoryview:
        if isinstance(query, DataQuery):
            return self._core.get_data(query)
        if query.path:
            return self._core.get_info(query).encode()
        return self._core.get_groups(query).encode()


class Webserver:
    """Serves a database's channels.

    Parameters
    ----------
    db : Database
        Loaded from the same configuration.
    config : Config or dict
        What to serve; a dictionary is what stands in the YAML file, ``bfly`` included.
    """

    def __init__(self, db: Database, config: Config | Mapping[str, Any]) -> None:
        if not isinstance(config, Config):
            config = Config.parse(config, "config")
        self._config = config
        self._application = Application(Core(db), config)
        self._server: uvicorn.Server | None = None
        self._listening = threading.Event()
        self._stopped = threading.Event()
        self.port = config.port

    def start(self, port: int | None = None) -> None:
        """Serve until `stop` is called or the process is told to end.

        Parameters
        ----------
        port : int, optional
            Instead of the configured one; 0 takes a free one, which `port` then holds.

        Raises
        ------
        ButterflyError
            The port cannot be had.
        """
        wanted = self._config.port if port is None else port
        host = self._config.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, wanted), family=family, backlog=2048)
        except (OSError, OverflowError) as error:
            raise ButterflyError(f"Port {wanted} of {host} cannot be had: {error}.") from error
        self.port = listener.getsockname()[1]
        settings = uvicorn.Config(
            self._application,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(settings)
        log.info("Butterfly serves http://%s:%s/ (Ctrl-C ends it)", host, self.port)
        self._listening.set()
        try:
            self._server.run(sockets=[listener])
        finally:
            listener.close()
            self._stopped.set()

    def wait(self, seconds: float = 30) -> bool:
        """Wait, in another thread than `start`, until the port is open."""
        return self._listening.wait(seconds)

    def stop(self) -> None:
        """End `start`, from any thread; answers under way are still sent."""
        if self._server is not None:
            self._server.should_exit = True
            self._stopped.wait(10)
