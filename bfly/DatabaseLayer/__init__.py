"""The documented DatabaseLayer: the base class, and the engines by their names.

``getattr(DatabaseLayer, "Postgres")`` imports an engine, and what it needs, on first use.
"""

from typing import TYPE_CHECKING, Any

from bfly import registry
from bfly.databases.database import Database
from bfly.layers import settle

if TYPE_CHECKING:
    from bfly.databases.nodb import Nodb
    from bfly.databases.postgres import Postgres as Postgres
    from bfly.databases.sqlite import Sqlite

__all__ = ["Database", "Nodb", "Sqlite"]


def __getattr__(name: str) -> Any:
    if name not in registry.names("databases"):
        raise AttributeError(f"module 'bfly.DatabaseLayer' has no attribute {name!r}")
    return registry.load("databases", name)


settle(__name__)
