"""What is for people and for load balancers: the pages, what they are made of, ``/healthz``.

The pages are built from ``web/`` into ``bfly/web/`` (see ``hatch_build.py``): HTML files, and
everything else in ``assets/`` under names with a hash of the content.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import Absent, MissingLibrary
from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.protocols.ready import Headers

__all__ = ["Assets", "Health", "Icon", "Index", "Neuroglancer", "Neuron", "Sections"]

WEB = Path(__file__).parents[1] / "web"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages: nothing from elsewhere, nothing inline."""

OF_SECTIONS = STRICT.replace(
    "style-src 'self'",
    "style-src 'self' 'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='",
)
"""That of the section viewer, where OpenSeadragon adds a style with this very text."""

OF_NEUROGLANCER = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src *; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""That of Neuroglancer, which compiles code at run time and reads data from wherever it is told
to. Its workers obey the policy of their own scripts."""


def _secured(policy: str, cache_control: bytes) -> Headers:
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cache-control", cache_control),
    ]


class _Page(Protocol):
    """A page, which is one HTML file."""

    file: ClassVar[str]
    policy: ClassVar[str] = STRICT

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /{self.prefixes[0]}, such as {path}.")
        try:
            body = (WEB / self.file).read_bytes()
        except FileNotFoundError:
            raise MissingLibrary(
                "The page is not built: 'pip install .' in a checkout builds it."
            ) from None
        return FinishedQuery(body, MEDIA_TYPES[".html"], _secured(self.policy, b"no-cache"))


class Index(_Page):
    """``/``: all channels, to search, look at and open."""

    prefixes: ClassVar[tuple[str, ...]] = ("",)
    file = "index.html"


class Sections(_Page):
    """``/sections``: a channel section by section, without WebGL."""

    prefixes: ClassVar[tuple[str, ...]] = ("sections",)
    file = "sections.html"
    policy = OF_SECTIONS


class Neuron(_Page):
    """``/neuron``: a neuron, its partners and its synapses."""

    prefixes: ClassVar[tuple[str, ...]] = ("neuron",)
    file = "neuron.html"


class Neuroglancer(_Page):
    """``/ng/``: Neuroglancer."""

    prefixes: ClassVar[tuple[str, ...]] = ("ng",)
    file = "ng/index.html"
    policy = OF_NEUROGLANCER


class Assets(Protocol):
    """``/assets/``: what the pages are made of. A name stands for one content forever."""

    prefixes: ClassVar[tuple[str, ...]] = ("assets",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        folder = WEB / "assets"
        # Only a name that is listed becomes part of a path.
        if not folder.is_dir() or path not in {file.name for file in folder.iterdir()}:
            raise Absent(f"There is no {path} in assets.")
        file = folder / path
        headers = _secured(OF_NEUROGLANCER, b"public, max-age=31536000, immutable")
        return FinishedQuery(file.read_bytes(), MEDIA_TYPES[file.suffix], headers)


class Icon(Protocol):
    """``/favicon.ico``: what browsers look for beside an answer that is not a page."""

    prefixes: ClassVar[tuple[str, ...]] = ("favicon.ico",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        icon = next((WEB / "assets").glob("butterfly-*.svg"), None)
        if path or icon is None:
            raise Absent("There is no icon but /favicon.ico, and that only beside a built page.")
        headers = _secured(STRICT, b"public, max-age=86400")
        return FinishedQuery(icon.read_bytes(), MEDIA_TYPES[".svg"], headers)


class Health(Protocol):
    """``/healthz``: that the server answers."""

    prefixes: ClassVar[tuple[str, ...]] = ("healthz",)
    immediate = True

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /healthz, such as {path}.")
        return FinishedQuery(b'{"status": "ok"}', "application/json")
