"""The server as a whole: arguments → configuration → database → web server."""

from __future__ import annotations

import logging
import os
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bfly import registry
from bfly.config import rh_config
from bfly.config.config import Config
from bfly.config.database_file import database_file
from bfly.config.settings import DEFAULT_DATABASE
from bfly.databases.edit_logs import first_edits
from bfly.discovery.one import did_you_mean, is_data, is_text, of_channel, what_it_is
from bfly.discovery.report import notes_of, report
from bfly.discovery.scan import scan
from bfly.discovery.stated import with_facts, with_size
from bfly.errors import ButterflyError, ConfigError
from bfly.keywords import MIB, RUNTIME
from bfly.server.arguments import add_data
from bfly.server.webserver import Webserver
from bfly.storage.disk_cache import DiskCache
from bfly.storage.files import Files, is_url
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.config.tree import Channel
    from bfly.databases.database import Database

__all__ = ["Butterfly", "configuration", "runtime_of"]

log = logging.getLogger(__name__)


class Butterfly:
    """A configured server.

    Parameters
    ----------
    _argv : str or list of str, optional
        A YAML file, a folder with data, or a channel: a file, a folder or a URL. By default,
        the file that ``RH_CONFIG_FILENAME`` names, or ``~/.rh-config.yaml``. A list is a command
        line like ``sys.argv``; it is served at once, until the process receives a signal to end.
    output : str, optional
        The YAML file to which the configuration is saved (``-o``), with the kind and the voxel size
        of each channel.
    port, host : optional
        Override the configured ones.
    strict : bool
        Whether mistakes are errors even if they can be mended (see `bfly.config.lenient`).
    voxel_size : tuple of float, optional
        Nanometres (z, y, x) of the channels of a scanned folder that state no voxel size.

    Attributes
    ----------
    config : Config
        The configuration in use, with the path of the database.
    config_file : str, optional
        The YAML file that was read, which the page may change; None if a folder was scanned, or
        for each of several processes.
    notes : list of str
        What was mended in the configuration, one line each.
    scan_notes : list of str
        What a scan of a folder found beside channels, one line each.
    _db_type : type
        The class of the database in use; on `Butterfly` itself, that of the default one.

    Raises
    ------
    ConfigError
        The configuration has mistakes, or there is none.
    """

    _db_type: type[Database] = registry.load("databases", DEFAULT_DATABASE)

    def __init__(
        self,
        _argv: str | Sequence[str] | None = None,
        output: str | None = None,
        port: int | None = None,
        host: str | None = None,
        strict: bool = False,
        voxel_size: tuple[float, float, float] | None = None,
    ) -> None:
        experiments: str | None
        if _argv is None or isinstance(_argv, str):
            experiments, at_once = _argv, False
        else:
            given = self.parse_argv(_argv)
            experiments, output, port = given["exp"], given["out"], given["port"]
            at_once = True
        self.notes: list[str] = []
        self.scan_notes: list[str] = []
        self.config_file = config_file(experiments)
        notes = None if strict else self.notes
        config = configuration(experiments, notes, self.scan_notes, voxel_size)
        if voxel_size is not None:
            if self.config_file is not None:
                raise ConfigError(
                    "--voxel-size is for data; in a YAML file, write voxel_size at a channel."
                )
            config = with_size(config, voxel_size, Files(config.allowed_paths))
        overrides = {"port": port, "host": host}
        changes = {name: value for name, value in overrides.items() if value is not None}
        self.config = config.replace(**changes)
        if output is not None:
            with_facts(self.config, Files(self.config.allowed_paths)).save(output)
        name = self.config.db_type or DEFAULT_DATABASE
        self._db_type = registry.load("databases", name)
        self._db_reason = "as db-path says"
        if name == DEFAULT_DATABASE and self.config.db_path is None:
            path, self._db_reason = database_file(self.config_file)
            self.config = self.config.replace(db_path=path)
        self._db_path = self.config.db_path or ""
        if at_once:
            self.serve()

    @staticmethod
    def get_parser() -> ArgumentParser:
        """Return a parser of what to serve, the port and ``-o``."""
        parser = ArgumentParser("bfly", description="Serve connectomics volumes from their files.")
        add_data(parser)
        return parser

    def parse_argv(self, argv: Sequence[str]) -> dict[str, Any]:
        """Parse a command line.

        Parameters
        ----------
        argv : sequence of str
            Like ``sys.argv``: the first is the name of the program.

        Returns
        -------
        dict
            ``port`` (None for the configured one), ``exp`` and ``out``.
        """
        return vars(self.get_parser().parse_intermixed_args(argv[1:]))

    def serve(self) -> None:
        """Serve until the process receives a signal to end."""
        self.log_start()
        self.server().start()

    def server(self) -> Webserver:
        """Return the server, not started yet, with the configured tables loaded."""
        server = Webserver(self.update_db(), self.config)
        server.allow_changes(self.config_file)
        return server

    def update_db(self) -> Database:
        """Return the database, with the tables of the configuration loaded into it."""
        return self.database().load_config(self.config.dump())

    def database(self) -> Database:
        """Return the database, before the tables of the configuration are loaded into it."""
        return self._db_type(self._db_path, runtime_of(self.config))

    def log_start(self) -> None:
        """Log notes on the configuration, the database, and channels that cannot be served."""
        for note in filter(None, (*self.notes, self.config.offset_note)):
            log.warning("%s", note)
        for line in self.scan_notes:
            log.info("%s", line)
        if (self.config.db_type or DEFAULT_DATABASE) == DEFAULT_DATABASE:
            log.info("The database is %s (%s)", self._db_path, self._db_reason)
        if folder := first_edits(self.config.edit_path):
            log.info("Edits of the first Butterfly are read from %s, and continued", folder)
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


def config_file(experiments: str | None) -> str | None:
    """Return the YAML file that a command line names (see `Butterfly`); None for data."""
    path = os.path.expanduser(experiments or rh_config.default_path())
    return path if experiments is None or not is_data(path) else None


def configuration(
    experiments: str | None,
    notes: list[str] | None = None,
    scan_notes: list[str] | None = None,
    voxel_size: tuple[float, float, float] | None = None,
) -> Config:
    """Return the configuration that a command line names (see `Butterfly`).

    Parameters
    ----------
    experiments : str, optional
        As for `Butterfly`.
    notes : list of str, optional
        As for `Config.load`.
    scan_notes : list of str, optional
        If given, lines on what a scan of the folder found beside channels are added to it.
    voxel_size : tuple of float, optional
        As for `Butterfly`.

    Raises
    ------
    ConfigError
        The configuration has mistakes or is missing, or there is no channel.
    """
    path = config_file(experiments)
    if path is None:
        assert experiments
        data = os.path.expanduser(experiments)
        if not os.path.isdir(data):
            return _from_channel(data)
        return _from_folder(os.path.abspath(data), scan_notes, voxel_size)
    if not os.path.exists(path):
        if experiments is None:
            raise ConfigError(
                f"There is nothing to serve: {path} does not exist. Give a folder with data, a "
                "volume or a YAML file (bfly FOLDER), or try 'bfly demo'."
            )
        raise ConfigError(f"{experiments} does not exist.{did_you_mean(path)}")
    if not is_text(path):
        raise ConfigError(what_it_is(path))
    return Config.load(path, notes)


def _from_folder(
    folder: str, scan_notes: list[str] | None, voxel_size: tuple[float, float, float] | None
) -> Config:
    found = scan(folder, Files(), voxel_size)
    report(found, Console(stderr=True))
    if scan_notes is not None:
        scan_notes += notes_of(found)
    if not found.experiments:
        raise ConfigError(f"There is no channel of a supported format below {folder}.")
    return Config(experiments=found.experiments)


def _from_channel(path: str) -> Config:
    config = of_channel(path)
    if config is None:
        raise ConfigError(f"There is no channel of a supported format at {path}.")
    return config


def _refusal(channel: Channel, files: Files) -> str | None:
    path, _ = split_path(channel.path)
    try:
        files.resolve(path)
    except ButterflyError as error:
        return str(error)
    return None if is_url(path) or os.path.exists(path) else f"{path} does not exist."
