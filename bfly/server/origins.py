"""Check of ``Origin``, and the headers of CORS: which web pages may use the server.

A browser states which page sent a request in ``Origin`` or, to addresses that it trusts (HTTPS
and loopback), in ``Sec-Fetch-Site``. Programs other than browsers send neither, and are not
restricted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bfly.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.protocols.ready import Headers

__all__ = ["NEUROGLANCERS", "Origins", "is_own"]

NEUROGLANCERS = (
    "https://neuroglancer-demo.appspot.com",  # Google, the authors of Neuroglancer
    "https://spelunker.cave-explorer.org",  # Allen Institute and Princeton, for CAVE
    "https://ngl.cave-explorer.org",  # Allen Institute and Princeton, for CAVE
    "https://neuromancer-seung-import.appspot.com",  # Seung lab, Princeton
    "https://clio-ng.janelia.org",  # FlyEM, HHMI Janelia
    "https://neuroglancer.bossdb.io",  # BossDB, Johns Hopkins APL
)
"""Public deployments of Neuroglancer that may always read: each serves only Neuroglancer, no pages
that its users write."""

_LOOPBACK = re.compile(
    r"https?://(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?"
)
"""Origin of a page that the user's own machine serves, such as a notebook, or a Neuroglancer that
Python started. A program on that machine could read without a browser anyway."""

_ORIGIN = re.compile(r"https?://[a-z0-9._\[\]:-]{1,260}")

_OWN = frozenset({b"same-origin", b"none"})
"""Values of ``Sec-Fetch-Site`` for own pages and for typed addresses. No page can set it."""

_PORTS = {"http": ":80", "https": ":443"}

EXPOSED = (b"access-control-expose-headers", b"accept-ranges, content-range, etag, retry-after")
"""The response headers that scripts of other origins may read."""

MOST_KEPT = 100
"""Origins for which CORS headers are cached; the cache is cleared when there are more."""


class Origins:
    """Decides which requests of web pages are answered.

    Parameters
    ----------
    allowed : sequence of str
        Origins from ``allowed-origins``: their pages may read and write. ``*`` lets all pages
        read, but not write: otherwise any page of the web could edit.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = tuple(allowed)
        self._writers = frozenset(allowed) - {"*"}
        self._readers = self._writers | {*NEUROGLANCERS}
        self._all_read = "*" in allowed
        self._kept: dict[str, Headers] = {}

    def check(self, headers: Mapping[bytes, bytes], host: str, writes: bool) -> Headers:
        """Check which page sent a request.

        Parameters
        ----------
        headers : mapping
            Headers of the request, names in lower case.
        host : str
            Its ``Host``, checked before.
        writes : bool
            Whether the request may change something.

        Returns
        -------
        sequence of (bytes, bytes)
            CORS headers with which the page may read the response; none for own pages and for
            programs.

        Raises
        ------
        NotAllowed
            A page of this origin may not do that; the message has the line to add to the
            configuration.
        """
        if is_own(headers):
            return ()
        sent = headers.get(b"origin")
        if sent is None:
            if not writes and _is_visit(headers):
                return ()
            # A page can suppress the Referer, but cannot set another origin in it.
            sent = headers.get(b"referer", b"")[:300]
            sent = b"/".join(sent.split(b"/", 3)[:3])
        origin = sent.decode("latin-1").lower()
        if _is_at(origin, host):
            return ()
        if self._is_allowed(origin, writes):
            return self._headers(origin)
        raise NotAllowed(self._refusal(origin, writes))

    def _is_allowed(self, origin: str, writes: bool) -> bool:
        if writes:
            return origin in self._writers
        return self._all_read or origin in self._readers or _LOOPBACK.fullmatch(origin) is not None

    def _headers(self, origin: str) -> Headers:
        kept = self._kept.get(origin)
        if kept is None:
            shown = b"*" if self._all_read else origin.encode("latin-1")
            kept = ((b"access-control-allow-origin", shown), EXPOSED)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[origin] = kept
        return kept

    def _refusal(self, origin: str, writes: bool) -> str:
        wanted = "edit or share" if writes else "read"
        if not _ORIGIN.fullmatch(origin):
            named = f"The origin {origin[:100]}" if origin else "A page that hides its origin"
            return f"{named} is not in allowed-origins {list(self._allowed)}, and cannot be added."
        names = ", ".join(f'"{name}"' if name == "*" else name for name in self._allowed)
        line = f"allowed-origins: [{names}, {origin}]" if names else f"allowed-origins: [{origin}]"
        return (
            f"The origin {origin} is not in allowed-origins {list(self._allowed)}. "
            f"If its pages may {wanted}, add to the configuration: {line}"
        )


def is_own(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from a program, or from an own page."""
    site = headers.get(b"sec-fetch-site")
    return site in _OWN or (site is None and b"origin" not in headers)


def _is_visit(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a browser navigates to the address, for example after a click on a link."""
    mode, place = headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest", b"document")
    return mode == b"navigate" and place == b"document"


def _is_at(origin: str, host: str) -> bool:
    """Return whether an origin is that of the requested host.

    The scheme is not compared: it differs behind a proxy that terminates TLS.
    """
    scheme, _, place = origin.partition("://")
    port = _PORTS.get(scheme)
    return port is not None and place.removesuffix(port) == host.lower().removesuffix(port)
