"""Annotations in PostgreSQL."""

from __future__ import annotations

from bfly.annotations.store import AnnotationStore
from bfly.databases.postgres_statements import PostgresStatements

__all__ = ["PostgresAnnotations"]


class PostgresAnnotations(PostgresStatements, AnnotationStore):
    """Annotations in the schema of a database."""
