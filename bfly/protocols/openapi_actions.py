"""The actions of `bfly.protocols.families.FAMILIES` in ``/openapi.json``."""

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
from bfly.protocols.families import FAMILIES
from bfly.protocols.openapi_responses import conditional_headers, responses

if TYPE_CHECKING:
    from bfly.errors import ButterflyError
    from bfly.protocols.actions import ActionsAPI
    from bfly.queries.edit_actions import Action

__all__ = ["action_paths", "prefix_of"]

ASKED: tuple[type[ButterflyError], ...] = (
    *(Absent, Busy, DatabaseError, MissingLibrary, NotAllowed, SourceError),
)
"""Possible errors of a GET."""

POSTED = (*ASKED, Conflict, TooLarge)
"""Possible errors of a POST."""


def prefix_of(family: type[ActionsAPI]) -> str:
    """Return the path of all actions of a channel or a dataset."""
    return f"/api/{family.name}/" + "/".join(f"{{{name}}}" for name in family.group)


def action_paths() -> dict[str, Any]:
    """Return the description of each action, by its path."""
    return {
        f"{prefix_of(family)}/{name}": _operations(family, name, action)
        for family in FAMILIES.values()
        for name, action in family.actions.items()
    }


def _operations(family: type[ActionsAPI], name: str, action: Action) -> dict[str, Any]:
    if action.method == "POST":
        return {"post": _post(family, name, action)}
    return {verb: _get(family, name, action, verb) for verb in ("get", "head")}


def _get(family: type[ActionsAPI], name: str, action: Action, verb: str) -> dict[str, Any]:
    return {
        "operationId": f"{verb}_{family.name}_{name}",
        "summary": action.summary if verb == "get" else f"Headers only: {action.summary}",
        "parameters": [*_address(family), *_words(action), *conditional_headers()],
        "responses": responses(action.summary, _content(action), ASKED, verb, True),
    }


def _post(family: type[ActionsAPI], name: str, action: Action) -> dict[str, Any]:
    body = {"schema": action.schema, "example": action.example}
    return {
        "operationId": f"post_{family.name}_{name}",
        "summary": action.summary,
        "parameters": _address(family),
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": responses(action.summary, _content(action), POSTED, "post", False),
    }


def _address(family: type[ActionsAPI]) -> list[dict[str, Any]]:
    """Return the parts of the path that name the channel or the dataset."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"name of the {name}",
            "schema": {"$ref": f"#/components/schemas/{name}"},
        }
        for name in family.group
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
    return {"application/json": {"schema": action.answer}, **{each: {} for each in action.others}}
