"""``/api/edits`` in ``/openapi.json``, from `bfly.queries.edit_actions.ACTIONS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.errors import (
    Absent,
    Busy,
    Conflict,
    DatabaseError,
    MissingLibrary,
    NotAllowed,
    SourceError,
    TooLarge,
)
from bfly.protocols.api import GROUP
from bfly.protocols.openapi_responses import conditional_headers, responses
from bfly.queries.edit_actions import ACTIONS

if TYPE_CHECKING:
    from bfly.errors import ButterflyError
    from bfly.queries.edit_actions import Action

__all__ = ["PREFIX", "edit_paths"]

PREFIX = "/api/edits/" + "/".join(f"{{{name}}}" for name in GROUP)
"""Path of all actions of a channel."""

ASKED: tuple[type[ButterflyError], ...] = (
    *(Absent, Busy, DatabaseError, MissingLibrary, NotAllowed, SourceError),
)
"""Possible errors of a GET."""

POSTED = (*ASKED, Conflict, TooLarge)
"""Possible errors of a POST."""


def edit_paths() -> dict[str, Any]:
    """Return the description of each action, by its path."""
    return {f"{PREFIX}/{name}": _operations(name, action) for name, action in ACTIONS.items()}


def _operations(name: str, action: Action) -> dict[str, Any]:
    if action.method == "POST":
        return {"post": _post(name, action)}
    return {verb: _get(name, action, verb) for verb in ("get", "head")}


def _get(name: str, action: Action, verb: str) -> dict[str, Any]:
    return {
        "operationId": f"{verb}_edits_{name}",
        "summary": action.summary if verb == "get" else f"Headers only: {action.summary}",
        "parameters": [*_channel(), *_words(action), *conditional_headers()],
        "responses": responses(action.summary, _content(action), ASKED, verb, True),
    }


def _post(name: str, action: Action) -> dict[str, Any]:
    body = {"schema": action.schema, "example": action.example}
    return {
        "operationId": f"post_edits_{name}",
        "summary": action.summary,
        "parameters": _channel(),
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": responses(action.summary, _content(action), POSTED, "post", False),
    }


def _channel() -> list[dict[str, Any]]:
    """Return the parts of the path that name the channel."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"name of the {name}",
            "schema": {"$ref": f"#/components/schemas/{name}"},
        }
        for name in GROUP
    ]


def _words(action: Action) -> list[dict[str, Any]]:
    """Return the parameters of a GET."""
    described = []
    for word, allowed in action.words.items():
        schema = allowed.schema
        lists = {"style": "form", "explode": False} if schema["type"] == "array" else {}
        example = {"example": action.example[word]} if word in action.example else {}
        described.append(
            {
                "name": word,
                "in": "query",
                "required": word in action.needed[0],
                "description": allowed.meaning,
                "schema": schema,
                **lists,
                **example,
            }
        )
    return described


def _content(action: Action) -> dict[str, Any]:
    return {"application/json": {"schema": action.answer}}
