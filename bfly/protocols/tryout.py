"""``/try``: a form for each method of ``/api``, generated from ``/openapi.json``.

The page is plain HTML: it runs no script and loads no other file.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.openapi import document
from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.protocols.ready import Headers

__all__ = ["Try"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
th { font-weight: normal; text-align: left; padding-right: 1rem }
input, select { font: inherit; width: 14rem; box-sizing: border-box }
"""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Try /api · Butterfly</title>
<style>{style}</style>
<h1>Try <code>/api</code></h1>
<p>Each form opens the address of its request. Optional fields may stay empty.
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
    """``/try``."""

    prefixes: ClassVar[tuple[str, ...]] = ("try",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /try, such as {path}.")
        about = document(self.config)
        names = about["components"]["schemas"]
        forms = [_form(path, verbs["get"], names) for path, verbs in about["paths"].items()]
        page = _PAGE.format(style=_STYLE, forms="\n".join(forms))
        return FinishedQuery(page.encode(), "text/html; charset=utf-8", HEADERS)


def _form(path: str, operation: dict[str, Any], names: dict[str, Any]) -> str:
    address = path.lstrip("/")
    rows = "".join(_rows(operation["parameters"], names))
    return (
        f"<details><summary><code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f'<form action="{escape(address)}"><table>{rows}</table>'
        "<button>Send</button></form></details>"
    )


def _rows(parameters: list[dict[str, Any]], names: dict[str, Any]) -> Iterator[str]:
    """Yield a table row for each query parameter; a form cannot set headers."""
    for parameter in parameters:
        if parameter["in"] != "query":
            continue
        name, schema = parameter["name"], parameter["schema"]
        schema = names[name] if "$ref" in schema else schema
        field = _field(name, schema, parameter["required"])
        meaning = escape(parameter["description"])
        yield f"<tr><th>{name}<td>{field}<td>{meaning}</tr>"


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
