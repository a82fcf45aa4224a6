"""Which log keeps the edits: a file of its own, or the database's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry

if TYPE_CHECKING:
    from bfly.databases.database import Database
    from bfly.edits.log import EditLog

__all__ = ["opened_log"]


def opened_log(db: Database) -> EditLog:
    """Open the log that a database's ``RUNTIME`` says: a file of its own, or the database's.

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
