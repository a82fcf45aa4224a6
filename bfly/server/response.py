"""Finished answers: bytes with their headers, compressed where that is useful."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash
from isal import igzip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.concurrency.budget import Grant
    from bfly.protocols.ready import Headers

__all__ = ["AGE", "EVERY", "Response", "is_packable", "worth_packing"]

EVERY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""Headers of every answer. Browsers do not sniff its type as a page or a script. Pages of other
origins cannot embed it unless they are allowed to (see `bfly.server.guard`)."""

PACKABLE = {
    "application/json",
    "application/octet-stream",
    "application/wasm",
    "image/svg+xml",
}
"""Media types that gzip may make smaller, besides all of ``text/``."""

WORTH_PACKING = 1000
"""Bytes: a smaller body is one packet anyway."""

MOST_PACKED = 32 << 20
"""Bytes: a larger body is sent as it is, since compression may need as much memory again."""

WORTH = 0.9
"""Ratio of compressed to plain size above which compression is not worth its time."""

AGE = 5
"""Seconds for which browsers and proxies may reuse an answer without revalidation. Files change,
but a viewer that moves back and forth should not request the same chunks again."""


def always() -> bool:
    """Return True: the answer is valid as long as the program runs."""
    return True


@dataclass(slots=True)
class Response:
    """Finished bytes with their headers, and the objects they were made from.

    Parameters
    ----------
    body : bytes or memoryview
        Flat, of bytes.
    headers : sequence of (bytes, bytes)
        All headers but the length.
    etag : bytes
        The ETag among the headers.
    basis : tuple
        The objects it was made from; it is valid as long as these same objects are current.
    is_fresh : callable
        Returns whether the response may be sent again, without disk access.
    beside : int
        Bytes that it keeps besides the body, to tell that.

    Attributes
    ----------
    grant : Grant or None
        Memory counted for the body until it is sent, unless the cache counts it.
    start, whole : dict
        The ASGI messages that send the whole response.
    """

    body: bytes | memoryview
    headers: Headers
    etag: bytes
    basis: tuple[Any, ...] = ()
    is_fresh: Callable[[], bool] = always
    beside: int = 0
    grant: Grant | None = field(init=False, default=None)
    start: dict[str, Any] = field(init=False)
    whole: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        length = (b"content-length", b"%d" % len(self.body))
        headers = [*self.headers, length]
        self.start = {"type": "http.response.start", "status": 200, "headers": headers}
        self.whole = {"type": "http.response.body", "body": self.body}

    @classmethod
    def make(
        cls,
        body: bytes | memoryview,
        media_type: str,
        *,
        codings: Sequence[str] = (),
        vary: Sequence[str] = (),
        extra: Headers = (),
        coding: str = "",
        edited: bool = False,
        basis: tuple[Any, ...] = (),
        is_fresh: Callable[[], bool] = always,
        beside: int = 0,
    ) -> Response:
        """Make a response.

        Parameters
        ----------
        body : bytes or memoryview
            Flat, of bytes.
        media_type : str
            For ``Content-Type``.
        codings : sequence of str
            The content codings that the client accepts (see `accepted`).
        vary : sequence of str
            Request headers that the answer depends on, besides ``Origin``.
        extra : sequence of (bytes, bytes)
            Further headers; they replace those of every answer by name.
        coding : str
            Content coding that the body already has, if any.
        edited : bool
            Whether edits changed it. Then browsers revalidate each time, so that a merge shows
            at once.
        basis, is_fresh, beside
            As for the class.
        """
        headers = [(b"content-type", media_type.encode()), *EVERY]
        packable = is_packable(media_type)
        # Only a deflate answer depends on the agent; caches may serve any other to every agent.
        vary = list(vary)
        if packable:
            vary.append("accept-encoding")
        if coding == "deflate":
            vary.append("user-agent")
        headers.append((b"vary", ", ".join([*vary, "origin"]).encode()))
        sized = WORTH_PACKING <= len(body) <= MOST_PACKED
        if packable and not coding and "gzip" in codings and sized:
            compressed = _packed(body)
            if len(compressed) < WORTH * len(body):
                body, coding = compressed, "gzip"
        if coding:
            headers.append((b"content-encoding", coding.encode()))
        etag = b'"%s"' % xxhash.xxh3_128_hexdigest(body).encode()
        headers += [
            (b"etag", etag),
            (b"accept-ranges", b"bytes"),
            (b"cache-control", b"public, no-cache" if edited else b"public, max-age=%d" % AGE),
        ]
        if extra:
            headers = list((dict(headers) | dict(extra)).items())
        return cls(body, headers, etag, basis, is_fresh, beside)

    @property
    def nbytes(self) -> int:
        """Memory that the response takes, in bytes."""
        return len(self.body) + self.beside + 1000


def is_packable(media_type: str) -> bool:
    """Return whether gzip may make bodies of a media type smaller."""
    return media_type.startswith("text/") or media_type in PACKABLE


def worth_packing(sample: bytes | memoryview) -> bool:
    """Return whether gzip is worth its time for a body, judged by its beginning."""
    return len(_packed(sample)) < WORTH * len(sample)


def _packed(body: bytes | memoryview) -> bytes:
    # A time in the gzip header would change the ETag of the same body each second.
    return bytes(igzip.compress(body, 1, mtime=0))
