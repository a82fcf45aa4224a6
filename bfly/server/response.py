"""Finished answers: bytes with their headers, packed where that is of use."""

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
"""The headers of every answer: nothing is taken for a page or a script that does not say so, and
no page of another origin shows it without being allowed to (see `bfly.server.guard`)."""

PACKABLE = {
    "application/json",
    "application/octet-stream",
    "application/wasm",
    "image/svg+xml",
}
"""What gzip may make smaller, besides all that is text."""

WORTH_PACKING = 1000
"""Bytes: less than this is one packet anyway."""

MOST_PACKED = 32 << 20
"""Bytes: a larger body is sent as it is, since packing needs up to as much memory again."""

WORTH = 0.9
"""What packing has to leave at most of a body to be worth the time of both sides."""

AGE = 5
"""Seconds for which browsers and proxies may use an answer without asking: files change, but a
viewer that moves to and fro within seconds should not ask for the same chunks again."""


def always() -> bool:
    """Return that an answer holds for as long as the program runs."""
    return True


@dataclass(slots=True)
class Response:
    """Finished bytes with their headers, and what they were made from.

    Parameters
    ----------
    body : bytes or memoryview
        Flat, of bytes.
    headers : sequence of (bytes, bytes)
        All but the length.
    etag : bytes
        The one among them.
    basis : tuple
        What it was made from; the answer holds as long as these very objects are current.
    is_fresh : callable
        Returns, without a look at the disk, whether it may be given again.

    Attributes
    ----------
    grant : Grant or None
        The memory that the body is counted with until it is sent, unless the cache counts it.
    start, whole : dict
        The ASGI messages that send all of it.
    """

    body: bytes | memoryview
    headers: Headers
    etag: bytes
    basis: tuple[object, ...] = ()
    is_fresh: Callable[[], bool] = always
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
        basis: tuple[object, ...] = (),
        is_fresh: Callable[[], bool] = always,
    ) -> Response:
        """Make an answer.

        Parameters
        ----------
        body : bytes or memoryview
            Flat, of bytes.
        media_type : str
            For ``Content-Type``.
        codings : sequence of str
            The content codings that the client takes (see `accepted`), for where one is of use.
        vary : sequence of str
            The request's headers that the answer depends on, besides ``Origin``.
        extra : sequence of (bytes, bytes)
            Headers besides those of every answer; one of a same name counts instead.
        coding : str
            The content coding that the body has already, if any.
        edited : bool
            Whether edits changed it. Then a browser asks each time, since it should show what was
            just merged.
        basis, is_fresh
            As above.
        """
        headers = [(b"content-type", media_type.encode()), *EVERY]
        packable = is_packable(media_type)
        # Who is not sent deflate may be sent what any other agent is, but not the reverse.
        vary = list(vary)
        if packable:
            vary.append("accept-encoding")
        if coding == "deflate":
            vary.append("user-agent")
        headers.append((b"vary", ", ".join([*vary, "origin"]).encode()))
        sized = WORTH_PACKING <= len(body) <= MOST_PACKED
        if packable and not coding and "gzip" in codings and sized:
            packed = _packed(body)
            if len(packed) < WORTH * len(body):
                body, coding = packed, "gzip"
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
        return cls(body, headers, etag, basis, is_fresh)

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return len(self.body) + 1000


def is_packable(media_type: str) -> bool:
    """Tell whether gzip may make bodies of a media type smaller."""
    return media_type.startswith("text/") or media_type in PACKABLE


def worth_packing(sample: bytes | memoryview) -> bool:
    """Tell by the beginning of a body whether gzip makes it enough smaller."""
    return len(_packed(sample)) < WORTH * len(sample)


def _packed(body: bytes | memoryview) -> bytes:
    # With the time in its header the same body would have another ETag each second.
    return bytes(igzip.compress(body, 1, mtime=0))
