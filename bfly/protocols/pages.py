"""The web pages, their assets, and ``/healthz`` for load balancers.

The pages are built from ``web/`` into ``bfly/web/`` (see ``hatch_build.py``). HTML files are at the
top; everything else is in ``assets/``, under names with a hash of the content.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from typing_extensions import override

from bfly.errors import Absent, MissingLibrary, Moved
from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.protocols.ready import Headers

__all__ = [
    "Assets",
    "FirstViewer",
    "Health",
    "Icon",
    "Index",
    "IndexFile",
    "Neuroglancer",
    "Neuron",
    "Sections",
]

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
"""Content-Security-Policy of the pages: same origin only, and nothing inline."""

OF_SECTIONS = STRICT.replace(
    "style-src 'self'",
    "style-src 'self' 'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='",
)
"""Policy of the section viewer: OpenSeadragon adds an inline style, allowed by its hash."""

OF_NEUROGLANCER = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src *; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""Policy of Neuroglancer, which compiles code at run time and reads data from any URL the user
enters. Its workers follow the policy of their own scripts."""


def _secured(policy: str, cache_control: bytes) -> Headers:
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cache-control", cache_control),
    ]


class _Page(Protocol):
    """Base of the pages. Each is one HTML file."""

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
    """``/``: the list of all channels, with search, thumbnails and links to viewers."""

    prefixes: ClassVar[tuple[str, ...]] = ("",)
    file = "index.html"


class IndexFile(Protocol):
    """``/index.html``: redirects to ``/``."""

    prefixes: ClassVar[tuple[str, ...]] = ("index.html",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /index.html, such as {path}.")
        raise Moved("./")


class Sections(_Page):
    """``/sections``: a section viewer of one channel, without WebGL."""

    prefixes: ClassVar[tuple[str, ...]] = ("sections",)
    file = "sections.html"
    policy = OF_SECTIONS


class FirstViewer(Protocol):
    """``/viz.html``: redirects bookmarks of the first Butterfly's viewer to ``/sections``.

    Its ``channel`` listed layers: ``0NAME`` for a picture, ``1NAME`` for labels over it.
    """

    prefixes: ClassVar[tuple[str, ...]] = ("viz.html",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /viz.html, such as {path}.")
        token = "::".join(parameters.get(name, "") for name in ("experiment", "sample", "dataset"))
        layers = parameters.get("channel", "").split(",")
        pictures = [layer[1:] for layer in layers if layer[:1] == "0" and layer != "0dojo"]
        labels = [layer[1:] for layer in layers if layer[:1] == "1"]
        shown = [f"{token}/{name}" for name in (*pictures[:1], *labels[:1])]
        words = dict(zip(("channel", "over"), (*shown, ""), strict=False)) if shown else {}
        if "z" in parameters:
            words["z"] = parameters["z"]
        raise Moved(f"sections?{urlencode(words)}")


class Neuron(_Page):
    """``/neuron``: a neuron, its partners and its synapses."""

    prefixes: ClassVar[tuple[str, ...]] = ("neuron",)
    file = "neuron.html"


class Neuroglancer(_Page):
    """``/ng/``: the bundled Neuroglancer. ``/ng/index.html`` redirects to it."""

    prefixes: ClassVar[tuple[str, ...]] = ("ng",)
    file = "ng/index.html"
    policy = OF_NEUROGLANCER

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path == "index.html":
            raise Moved("./")
        return super().query(path, parameters)


class Assets(Protocol):
    """``/assets/``: scripts, styles and icons of the pages. The content of a name never changes."""

    prefixes: ClassVar[tuple[str, ...]] = ("assets",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        folder = WEB / "assets"
        # Only a listed name becomes part of a path: no request can leave the folder.
        if not folder.is_dir() or path not in {file.name for file in folder.iterdir()}:
            raise Absent(f"There is no {path} in assets.")
        file = folder / path
        headers = _secured(OF_NEUROGLANCER, b"public, max-age=31536000, immutable")
        return FinishedQuery(file.read_bytes(), MEDIA_TYPES[file.suffix], headers)


class Icon(Protocol):
    """``/favicon.ico``: the icon that browsers request for an answer that is not a page."""

    prefixes: ClassVar[tuple[str, ...]] = ("favicon.ico",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        icon = next((WEB / "assets").glob("butterfly-*.svg"), None)
        if path or icon is None:
            raise Absent("The only icon is /favicon.ico, and only if the pages are built.")
        headers = _secured(STRICT, b"public, max-age=86400")
        return FinishedQuery(icon.read_bytes(), MEDIA_TYPES[".svg"], headers)


class Health(Protocol):
    """``/healthz``: a health check."""

    prefixes: ClassVar[tuple[str, ...]] = ("healthz",)
    immediate = True

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /healthz, such as {path}.")
        return FinishedQuery(b'{"status": "ok"}', "application/json")
