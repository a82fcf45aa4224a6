"""Responses and headers that descriptions of several operations in ``/openapi.json`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.errors import BadRequest
from bfly.protocols.statuses import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.errors import ButterflyError

__all__ = ["conditional_headers", "responses"]

CONDITIONS = {
    "If-None-Match": "ETag of the cached response",
    "If-Match": "required ETag of the response",
    "Range": "requested byte range",
    "If-Range": "ETag for which the range applies",
}
"""Headers of conditional and range requests."""

PARTS = {
    206: "The requested byte range",
    304: "Not modified: the cached response is current",
    412: "The response has another ETag",
    416: "The byte range is outside the response",
}


def conditional_headers() -> list[dict[str, Any]]:
    """Return descriptions of the headers of conditional and range requests."""
    return [
        {"name": header, "in": "header", "description": text, "schema": {"type": "string"}}
        for header, text in CONDITIONS.items()
    ]


def responses(
    summary: str,
    content: dict[str, Any],
    errors: Iterable[type[ButterflyError]],
    verb: str,
    conditional: bool,
) -> dict[str, Any]:
    """Return the description of all responses of an operation, by status.

    Parameters
    ----------
    summary : str
        What the answer is.
    content : dict
        Media types of the answer.
    errors : iterable of type
        Possible errors besides `BadRequest`.
    verb : str
        The HTTP method, in lower case. HEAD has no bodies.
    conditional : bool
        Whether the headers of conditional and range requests count.
    """
    answer: dict[str, Any] = {"description": summary}
    if verb != "head":
        answer["content"] = content
    kinds: dict[int, list[type[ButterflyError]]] = {}
    possible: tuple[type[ButterflyError], ...] = (BadRequest, *errors)
    for error in possible:
        status = next(status for kind, status in STATUSES.items() if issubclass(error, kind))
        kinds.setdefault(status, []).append(error)
    parts = {str(status): {"description": text} for status, text in PARTS.items()}
    return {
        "200": answer,
        **(parts if conditional else {}),
        **{str(status): _error(some, verb) for status, some in kinds.items()},
    }


def _error(kinds: list[type[ButterflyError]], verb: str) -> dict[str, Any]:
    """Return the description of a status: the first docstring line of each of its errors."""
    text = " ".join((kind.__doc__ or "").partition("\n")[0] for kind in kinds)
    content = {"content": {"text/plain": {"schema": {"type": "string"}}}} if verb != "head" else {}
    return {"description": text, **content}
