"""The server as a whole: arguments → configuration → database → web server."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from rich.console import Console

from bfly import registry
from bfly.config import rh_config
from bfly.config.config import Config
from bfly.discovery.report import report
from bfly.discovery.scan import scan
from bfly.errors import ButterflyError, ConfigError
from bfly.keywords import MIB, RUNTIME
from bfly.server.webserver import Webserver
from bfly.sources.shared.net import can_open
from bfly.sources.tile_source import formats
from bfly.storage.disk_cache import DiskCache
from bfly.storage.files import Files, is_url

if TYPE_CHECKING:
    from bfly.config.tree import Channel
    from bfly.databases.database import Database

__all__ = ["Butterfly", "configuration", "runtime_of"]

log = logging.getLogger(__name__)

DEFAULT_DATABASE = "Sqlite"
DEFAULT_PATHS = {"Sqlite": "bfly.db"}
"""Default ``db-path`` of databases that need one, relative to the working folder like the log."""


class Butterfly:
    """A configured server.

    Parameters
    ----------
    experiments : str, optional
        A YAML file or a folder with data (``-e``). By default, the file that
        ``RH_CONFIG_FILENAME`` names, or ``~/.rh-config.yaml``.
    output : str, optional
        The YAML file to which the configuration is saved (``-o``).
    port, host : optional
        Override the configured ones.

    Attributes
    ----------
    config : Config
        The configuration in use.
    _db_type : type
        The class of the database in use.

    Raises
    ------
    ConfigError
        The configuration has mistakes, or there is none.
    """

    def __init__(
        self,
        experiments: str | None = None,
        output: str | None = None,
        port: int | None = None,
        host: str | None = None,
    ) -> None:
        config = configuration(experiments)
        given = {"port": port, "host": host}
        changes = {name: value for name, value in given.items() if value is not None}
        self.config = config.replace(**changes)
        if output is not None:
            self.config.save(output)
        name = self.config.db_type or DEFAULT_DATABASE
        self._db_type: type[Database] = registry.load("databases", name)
        self._db_path = self.config.db_path or DEFAULT_PATHS.get(name, "")

    def serve(self) -> None:
        """Serve until the process receives a signal to end."""
        self.warn_of_paths()
        self.server().start()

    def server(self) -> Webserver:
        """Return the server, not started yet, with the configured tables loaded."""
        return Webserver(self.database().load_config(self.config.dump()), self.config)

    def database(self) -> Database:
        """Return the database, before the tables of the configuration are loaded into it."""
        return self._db_type(self._db_path, runtime_of(self.config))

    def warn_of_paths(self) -> None:
        """Log a warning with the reason for each channel that cannot be served."""
        files = Files(self.config.allowed_paths)
        for channel in self.config.channels.values():
            reason = _refusal(channel, files)
            if reason:
                log.warning("The channel %s will not be served: %s", channel.name, reason)


def runtime_of(config: Config) -> RUNTIME:
    """Return the documented runtime fields, set from a configuration (sizes in bytes)."""
    runtime = RUNTIME()
    runtime.CACHE.MAX.VALUE = config.max_cache_size * MIB
    runtime.CACHE.MAX_BLOCK.VALUE = config.max_block_size * MIB
    runtime.IMAGE.LIMIT.VALUE = config.max_cutout_size * MIB
    runtime.IMAGE.CHUNK.VALUE = config.max_chunk_size * MIB
    runtime.PYRAMID.FOLDER.VALUE = config.pyramid.where
    runtime.PYRAMID.SIZE.VALUE = config.pyramid.size * MIB
    runtime.STATES.FOLDER.VALUE = config.states_folder
    runtime.FILES.ALLOWED.VALUE = list(config.allowed_paths)
    if config.disk_cache is not None:
        cache = config.disk_cache
        runtime.FILES.CACHE.VALUE = DiskCache(cache.folder, cache.size * MIB)
    runtime.DB.PORT.VALUE = config.db_port
    runtime.DB.UPDATE.VALUE = config.db_update
    runtime.DB.EDIT.VALUE = config.edit_path
    return runtime


def configuration(experiments: str | None) -> Config:
    """Return the configuration that a command line names (see `Butterfly`).

    Raises
    ------
    ConfigError
        The configuration has mistakes or is missing, or the folder contains no channel.
    """
    if experiments is not None and os.path.isdir(experiments):
        return _from_folder(os.path.abspath(experiments))
    path = os.path.expanduser(experiments or rh_config.default_path())
    if any(can_open(source, path) for source in formats().values()):
        folder = os.path.dirname(path) or "."
        raise ConfigError(f"{path} is a channel; give its folder instead (bfly -e {folder}).")
    if not os.path.exists(path):
        if experiments is not None:
            raise ConfigError(f"{experiments} is neither a YAML file nor a folder.")
        raise ConfigError(
            f"There is nothing to serve: {path} does not exist. Give a folder with data or a "
            "YAML file (bfly -e FOLDER), or try 'bfly demo'."
        )
    return Config.load(path)


def _from_folder(folder: str) -> Config:
    found = scan(folder, Files())
    report(found, Console(stderr=True))
    if not found.experiments:
        raise ConfigError(f"There is no channel of a supported format below {folder}.")
    return Config(experiments=found.experiments)


def _refusal(channel: Channel, files: Files) -> str | None:
    try:
        files.resolve(channel.path)
    except ButterflyError as error:
        return str(error)
    there = is_url(channel.path) or os.path.exists(channel.path)
    return None if there else f"{channel.path} does not exist."
