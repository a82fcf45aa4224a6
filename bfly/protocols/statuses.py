"""The table from errors to HTTP statuses."""

from __future__ import annotations

from bfly.errors import (
    Absent,
    BadRequest,
    Busy,
    ButterflyError,
    Conflict,
    DatabaseError,
    MissingLibrary,
    Moved,
    NotAllowed,
    SourceError,
    TooLarge,
)

__all__ = ["STATUSES", "status_of"]

STATUSES: dict[type[ButterflyError], int] = {
    TooLarge: 413,
    BadRequest: 400,
    Moved: 302,
    NotAllowed: 403,
    Absent: 404,
    Conflict: 409,
    Busy: 503,
    MissingLibrary: 503,
    DatabaseError: 503,
    SourceError: 503,
}
"""HTTP status of each class of errors; the first class that matches counts."""


def status_of(error: ButterflyError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 503)
