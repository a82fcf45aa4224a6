"""Forms of ``/try`` for ``/api/edits``: without a script, a form cannot send a path or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from bfly.errors import Absent, BadRequest
from bfly.protocols.api import GROUP
from bfly.protocols.edits import edits_query
from bfly.protocols.protocol import named
from bfly.queries.edit_actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.queries.edit_actions import Action
    from bfly.queries.edits import EditsQuery

__all__ = ["FORMS", "address_of", "methods_of", "query_of"]

FORMS = "edits/"
"""What the paths of these forms begin with, below ``/try``; the action follows."""

MOST_FIELDS = 100
"""Fields of a form."""


def methods_of(path: str) -> tuple[str, ...]:
    """Return the HTTP methods that the form at a path below ``/try`` is sent with."""
    action = ACTIONS.get(path.removeprefix(FORMS)) if path.startswith(FORMS) else None
    return ("POST",) if action and action.method == "POST" else ("GET", "HEAD")


def address_of(path: str, fields: Mapping[str, str]) -> str:
    """Return the address that the form of a GET asks for, relative to ``/try/edits/ACTION``.

    Raises
    ------
    Absent
        There is no such action.
    BadRequest
        A name of the channel is missing.
    """
    name, _ = _action(path)
    names = "/".join(quote(named(fields, group), safe="") for group in GROUP)
    words = {word: text for word, text in fields.items() if text and word not in GROUP}
    return f"../../api/edits/{names}/{name}?{urlencode(words)}"


def query_of(config: Config, path: str, body: bytes) -> EditsQuery:
    """Return the query of a form with a POST.

    Parameters
    ----------
    config : Config
        The served channels.
    path : str
        ``edits/`` and the action.
    body : bytes
        The fields, as browsers encode them. Lists are JSON; empty fields are left out.

    Raises
    ------
    Absent
        There is no such action or channel.
    BadRequest
        A field has a value that is not allowed.
    """
    name, action = _action(path)
    try:
        pairs = parse_qsl(body.decode(), strict_parsing=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The body is not a form: {error}.") from None
    fields = dict(pairs)
    address = "/".join(named(fields, group) for group in GROUP)
    given = {word: text for word, text in fields.items() if word not in GROUP}
    asked = {word: _value(action, word, text) for word, text in given.items()}
    return edits_query(config, f"{address}/{name}", asked)


def _action(path: str) -> tuple[str, Action]:
    name = path.removeprefix(FORMS)
    if name not in ACTIONS:
        raise Absent(f"There is nothing at /try/{path}; allowed are {', '.join(ACTIONS)}.")
    return name, ACTIONS[name]


def _value(action: Action, word: str, text: str) -> Any:
    """Return a field's value: lists and objects are JSON."""
    allowed = action.words.get(word)
    if allowed is None or allowed.schema["type"] not in ("array", "object"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(f"{word} is not JSON: {text[:100]}") from None
