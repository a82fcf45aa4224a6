"""Choice of the edit log: a separate file, or the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry

if TYPE_CHECKING:
    from bfly.databases.database import Database
    from bfly.edits.log import EditLog

__all__ = ["opened_log"]


def opened_log(db: Database) -> EditLog:
    """Open the edit log set in a database's ``RUNTIME``: a separate file, or the database.

    Raises
    ------
    DatabaseError
        The file cannot be used.
    """
    path = db.RUNTIME.DB.EDIT.VALUE
    if not path:
        return db.edit_log()
    alone: Database = registry.load("databases", "Sqlite")(path, db.RUNTIME)
    return alone.edit_log()
