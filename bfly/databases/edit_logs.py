"""Where edits and annotations are kept: a separate file, or the database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bfly import registry
from bfly.edits.edits import Edits

if TYPE_CHECKING:
    from bfly.annotations.store import AnnotationStore
    from bfly.databases.database import Database
    from bfly.edits.log import EditLog

__all__ = ["edits_of", "first_edits", "opened_annotations", "opened_log"]

NAME = "bfly-edits.db"
"""File of the log in a folder of edits of the first Butterfly."""


def edits_of(db: Database) -> Edits:
    """Return the edits of all channels, in the log of `opened_log`."""
    return Edits(opened_log(db), first_edits(db.RUNTIME.DB.EDIT.VALUE))


def opened_log(db: Database) -> EditLog:
    """Open the edit log set in a database's ``RUNTIME``: a separate file, or the database.

    Raises
    ------
    DatabaseError
        The file cannot be used.
    """
    return _keeper(db).edit_log()


def opened_annotations(db: Database) -> AnnotationStore:
    """Open the annotations that people make, which are beside the edits; raises as `opened_log`."""
    return _keeper(db).annotation_store()


def _keeper(db: Database) -> Database:
    """Return the database of edits and annotations."""
    path = db.RUNTIME.DB.EDIT.VALUE
    if not path or path == os.sep:
        return db
    if first_edits(path):
        path = os.path.join(path, NAME)
    alone: Database = registry.load("databases", "Sqlite")(path, db.RUNTIME)
    return alone


def first_edits(edit_path: str | None) -> str | None:
    """Return ``edit-path`` if it is a folder, which the first Butterfly kept its edits in.

    Its edits of a channel are at the channel's path below that folder. With ``/`` they are beside
    the channel, and the log is in the database.
    """
    return edit_path if edit_path and os.path.isdir(edit_path) else None
