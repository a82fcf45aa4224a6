"""What is for people and for load balancers: the index page and ``/healthz``."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlencode

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.protocol import Protocol
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Health", "Index"]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Butterfly</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
td, th {{ padding: .2rem 1rem .2rem 0; text-align: left }}
:root {{ color-scheme: light dark }}
</style>
<h1>Butterfly</h1>
<p>{count} channels are served from their files.</p>
<table><tr><th>Experiment<th>Sample<th>Dataset<th>Channel<th>Links</tr>
{rows}
</table>
</html>
"""


class _Text(InfoQuery):
    """A finished text."""

    def __init__(self, text: str, mime_type: str) -> None:
        super().__init__(method="experiments")
        self._finished = text, mime_type

    @property
    def dump(self) -> str:
        """The text."""
        return self._finished[0]

    @property
    def mime_type(self) -> str:
        """Its media type."""
        return self._finished[1]


class Index(Protocol):
    """``/``: a list of all channels with the addresses that lead to them."""

    prefixes: ClassVar[tuple[str, ...]] = ("",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> InfoQuery:
        rows = list(self._rows())
        page = _PAGE.format(count=len(rows), rows="\n".join(rows))
        return _Text(page, "text/html; charset=utf-8")

    def _rows(self) -> Iterator[str]:
        for names in self.config.channels:
            words = dict(zip(("experiment", "sample", "dataset", "channel"), names, strict=True))
            metadata = f"/api/channel_metadata?{urlencode(words)}"
            info = f"/pre/{quote('::'.join(names[:3]))}/{quote(names[3])}/info"
            cells = "".join(f"<td>{escape(name)}" for name in names)
            yield (
                f'<tr>{cells}<td><a href="{escape(metadata)}">metadata</a> '
                f'<a href="{escape(info)}">precomputed</a></tr>'
            )


class Health(Protocol):
    """``/healthz``: that the server answers."""

    prefixes: ClassVar[tuple[str, ...]] = ("healthz",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> InfoQuery:
        if path:
            raise Absent(f"There is nothing below /healthz, such as {path}.")
        return _Text('{"status": "ok"}', "application/json")
