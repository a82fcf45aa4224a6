"""The documented DatabaseLayer: the base class and the engines, each by its ``db-type``."""

from typing import Any

from bfly import registry
from bfly.databases.database import Database
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite

__all__ = ["Database", "Nodb", "Sqlite"]


def __getattr__(name: str) -> Any:
    """Return a database by name, imported now: it may need a library of its own."""
    if name in registry.names("databases"):
        return registry.load("databases", name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
