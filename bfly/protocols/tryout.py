"""``/try``: a form for each method of ``/api``, and each action of edits and of annotations.

They are generated from ``/openapi.json``.

The page is plain HTML: it runs no script and loads no other file.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, Moved
from bfly.protocols.families import FAMILIES
from bfly.protocols.openapi import document
from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery
from bfly.protocols.try_actions import address_of, is_form, methods_of, query_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.protocols.ready import Headers
    from bfly.queries.info import InfoQuery

__all__ = ["Try"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
th { font-weight: normal; text-align: left; padding-right: 1rem }
input, select, textarea { font: inherit; width: 14rem; box-sizing: border-box }
"""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Try /api · Butterfly</title>
<style>{style}</style>
<h1>Try <code>/api</code></h1>
<p>Each form opens the address of its request, or sends its object (POST), which may edit.
Optional fields may stay empty; lists are JSON, such as <code>[1, 2]</code>.
Machine-readable description: <a href="openapi.json">openapi.json</a>.</p>
{forms}
</html>
"""

_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Headers = [
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'".encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
]


class Try(Protocol):
    """``/try``; ``/try/edits/{action}`` and its kin, where the forms of actions are sent."""

    prefixes: ClassVar[tuple[str, ...]] = ("try",)
    largest_body: ClassVar[int] = max(each.largest_body for each in FAMILIES.values())

    @override
    def methods(self, path: str) -> tuple[str, ...]:
        return methods_of(path)

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        return query_of(self.config, path, body)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if is_form(path):
            raise Moved(address_of(path, parameters))
        if path:
            raise Absent(f"There is nothing below /try, such as {path}.")
        about = document(self.config)
        names = about["components"]["schemas"]
        forms = [_form(path, verbs, names) for path, verbs in about["paths"].items()]
        page = _PAGE.format(style=_STYLE, forms="\n".join(forms))
        return FinishedQuery(page.encode(), "text/html; charset=utf-8", HEADERS)


def _form(path: str, verbs: dict[str, Any], names: dict[str, Any]) -> str:
    verb = "post" if "post" in verbs else "get"
    operation, address = verbs[verb], path.lstrip("/")
    if "{" in path:
        address = f"try/{path.split('/')[2]}/{path.rpartition('/')[2]}"
    rows = "".join(_rows(operation, names))
    return (
        f"<details><summary><code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f'<form action="{escape(address)}" method="{verb}"><table>{rows}</table>'
        "<button>Send</button></form></details>"
    )


def _rows(operation: dict[str, Any], names: dict[str, Any]) -> Iterator[str]:
    """Yield a table row for each parameter and each word of the body; a form sets no headers."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "header":
            continue
        name, schema = parameter["name"], parameter["schema"]
        schema = names[name] if "$ref" in schema else schema
        field = _field(name, schema, parameter["required"])
        meaning = escape(parameter["description"])
        yield f"<tr><th>{name}<td>{field}<td>{meaning}</tr>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    for name, schema in body["schema"]["properties"].items() if body else ():
        required = name in body["schema"].get("required", ())
        if schema["type"] in ("array", "object"):
            field = _area(name, body["example"].get(name), required)
        else:
            field = _field(name, schema, required)
        yield f"<tr><th>{name}<td>{field}<td>{escape(schema['description'])}</tr>"


def _area(name: str, example: Any, required: bool) -> str:
    """Return a field for JSON."""
    hint = "" if example is None else f' placeholder="{escape(json.dumps(example))}"'
    return f'<textarea name="{name}" rows="1"{hint}{" required" * required}></textarea>'


def _field(name: str, schema: dict[str, Any], required: bool) -> str:
    default = schema.get("default")
    needed = " required" if required else ""
    if "enum" in schema:
        words = [*([] if required or default is not None else [""]), *schema["enum"]]
        options = "".join(
            f"<option{' selected' * (word == default)}>{escape(word)}" for word in words
        )
        return f'<select name="{name}"{needed}>{options}</select>'
    bounds = "".join(
        f' {side}="{schema[word]}"'
        for side, word in (("min", "minimum"), ("max", "maximum"))
        if schema["type"] == "integer"
    )
    kind = "number" if schema["type"] == "integer" else "text"
    value = "" if default is None else f' value="{default}"'
    return f'<input type="{kind}" name="{name}"{bounds}{value}{needed}>'
