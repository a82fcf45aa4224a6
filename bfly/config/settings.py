"""The documented constants: the settings of the shared YAML file, or else their defaults.

Each is read from the file when it is asked for, and is not checked as `Config.load` checks it.
Sizes are in bytes.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from bfly.config import rh_config
from bfly.config.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SETTINGS", "is_yes"]

DEFAULT_DATABASE = "Sqlite"
DEFAULT_PATHS = {"Sqlite": "bfly.db"}
"""Default ``db-path`` of databases that need one, relative to the working folder like the log."""


def is_yes(val: object) -> bool:
    """Return whether a value is true, or a word for it: y, yes, true or 1 in any case."""
    return str(val).lower() in ("y", "yes", "true", "1")


def _section() -> dict[str, Any]:
    section: dict[str, Any] = rh_config.config.get("bfly") or {}
    return section


def _setting(name: str, convert: Callable[[Any], Any] = lambda value: value) -> Any:
    value = _section().get(name.replace("_", "-"))
    return convert(Config.model_fields[name].default if value is None else value)


def _bytes(mebibytes: Any) -> int:
    return int(mebibytes) << 20


def _database() -> str:
    return str(_setting("db_type") or DEFAULT_DATABASE)


SETTINGS: dict[str, Callable[[], Any]] = {
    "PORT": partial(_setting, "port", int),
    "DB_TYPE": _database,
    "DB_PATH": lambda: _setting("db_path") or DEFAULT_PATHS.get(_database(), ""),
    "DB_PORT": partial(_setting, "db_port"),
    "DB_UPDATE": partial(_setting, "db_update", is_yes),
    "EDIT_PATH": lambda: _setting("edit_path") or os.sep,
    "LOG_PATH": partial(_setting, "log_path"),
    "LOG_LEVEL": partial(_setting, "log_level"),
    "MAX_CACHE_SIZE": partial(_setting, "max_cache_size", _bytes),
    "MAX_BLOCK_SIZE": partial(_setting, "max_block_size", _bytes),
    "ALLOWED_PATHS": partial(_setting, "allowed_paths", list),
    "DEV_MODE": partial(_setting, "developer_mode", is_yes),
    "BFLY_CONFIG": _section,
    "CONFIG_FILENAME": rh_config.default_path,
}
"""How each constant is found."""


def __getattr__(name: str) -> Any:
    if name not in SETTINGS:
        raise AttributeError(f"module 'bfly.config.settings' has no attribute {name!r}")
    return SETTINGS[name]()
