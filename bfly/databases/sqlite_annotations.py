"""Annotations in SQLite."""

from __future__ import annotations

from bfly.annotations.store import AnnotationStore
from bfly.databases.sqlite_statements import SqliteStatements

__all__ = ["SqliteAnnotations"]


class SqliteAnnotations(SqliteStatements, AnnotationStore):
    """Annotations in the file of a database."""
