"""Forms of ``/try`` for actions: without a script, a form cannot send a path or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from bfly.errors import Absent, BadRequest
from bfly.protocols.families import FAMILIES
from bfly.protocols.protocol import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.protocols.actions import ActionsAPI
    from bfly.queries.edit_actions import Action
    from bfly.queries.info import InfoQuery

__all__ = ["address_of", "is_form", "methods_of", "query_of"]

MOST_FIELDS = 100
"""Fields of a form."""


def is_form(path: str) -> bool:
    """Return whether a path below ``/try`` begins with the name of a family of actions."""
    return "/" in path and path.partition("/")[0] in FAMILIES


def methods_of(path: str) -> tuple[str, ...]:
    """Return the HTTP methods that the form at a path below ``/try`` is sent with."""
    name, _, action = path.partition("/")
    found = FAMILIES[name].actions.get(action) if is_form(path) else None
    return ("POST",) if found and found.method == "POST" else ("GET", "HEAD")


def address_of(path: str, fields: Mapping[str, str]) -> str:
    """Return the address that the form of a GET asks for, relative to its own address.

    Raises
    ------
    Absent
        There is no such action.
    BadRequest
        A name of the channel or the dataset is missing.
    """
    family, name, _ = _action(path)
    names = "/".join(quote(named(fields, group), safe="") for group in family.group)
    words = {word: text for word, text in fields.items() if text and word not in family.group}
    return f"../../api/{family.name}/{names}/{name}?{urlencode(words)}"


def query_of(config: Config, path: str, body: bytes) -> InfoQuery:
    """Return the query of a form with a POST.

    Parameters
    ----------
    config : Config
        The served channels.
    path : str
        The name of the family, and the action.
    body : bytes
        The fields, as browsers encode them. Lists are JSON; empty fields are left out.

    Raises
    ------
    Absent
        There is no such action or channel.
    BadRequest
        A field has a value that is not allowed.
    """
    family, name, action = _action(path)
    try:
        pairs = parse_qsl(body.decode(), strict_parsing=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The body is not a form: {error}.") from None
    fields = dict(pairs)
    address = "/".join(named(fields, group) for group in family.group)
    given = {word: text for word, text in fields.items() if word not in family.group}
    asked = {word: _value(action, word, text) for word, text in given.items()}
    return family.asked(config, f"{address}/{name}", asked)


def _action(path: str) -> tuple[type[ActionsAPI], str, Action]:
    first, _, name = path.partition("/")
    family = FAMILIES[first]
    if name not in family.actions:
        raise Absent(f"There is nothing at /try/{path}; allowed are {', '.join(family.actions)}.")
    return family, name, family.actions[name]


def _value(action: Action, word: str, text: str) -> Any:
    """Return a field's value: lists and objects are JSON."""
    allowed = action.words.get(word)
    if allowed is None or allowed.schema["type"] not in ("array", "object"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(f"{word} is not JSON: {text[:100]}") from None
