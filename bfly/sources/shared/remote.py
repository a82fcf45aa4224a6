"""Documents and parts of objects behind a URL, each read up to a limit."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
import zlib
from os import environ
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from bfly.errors import SourceError
from bfly.storage.limits import METADATA, check_length

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

T = TypeVar("T")

__all__ = ["RemotePart", "Unclear", "document", "part_of"]

PIECE = 1 << 20
"""Bytes read between two checks of the time."""

CODINGS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Content codings that are decoded, with zlib's ``wbits`` of each."""


PLACE = re.compile(r"bytes (?:(\d{1,19})-\d{1,19}|\*)/(\d{1,19}|\*)")
"""``Content-Range``: the first byte, and the size of the whole object."""


class Unclear(Exception):
    """A read that ended with neither the document nor 404."""


class RemotePart(NamedTuple):
    """A part of an object.

    Parameters
    ----------
    data : bytes
        Fewer bytes than requested, or none, at the end of the object.
    size : int or None
        Bytes of the whole object, if the server states them.
    tag : str
        The server's ETag or, without one, its time of the last change; "" if it states neither.
    """

    data: bytes
    size: int | None
    tag: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: its target may not be allowed."""


def document(url: str, patience: float) -> bytes | None:
    """Read an object behind an ``http`` or ``https`` URL; return None if there is none.

    A server may send any number of bytes, whatever range is requested. Therefore the answer
    is read here, in pieces.

    Parameters
    ----------
    url : str
        The whole URL.
    patience : float
        Seconds until the read times out.

    Raises
    ------
    Oversized
        The object is longer than metadata may be.
    SourceError
        The server takes too long.
    Unclear
        The read failed otherwise; the caller can find the reason by another way.
    """
    return _read(url, patience, {}, lambda answer, end: _body(answer, url, end))


def part_of(url: str, start: int, stop: int, patience: float) -> RemotePart | None:
    """Read the bytes from `start` to before `stop` of an object; return None if there is none.

    Raises
    ------
    SourceError
        The server takes too long, or it sends other bytes than requested.
    Unclear
        The read failed otherwise.
    """
    headers = {"Range": f"bytes={start}-{stop - 1}"}

    def read(answer: HTTPResponse, end: float) -> RemotePart:
        place = PLACE.fullmatch(answer.headers.get("Content-Range", ""))
        size = int(place[2]) if place and place[2].isdecimal() else None
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if answer.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return RemotePart(b"", size, tag)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise SourceError(f"{url} cannot be read: the server sends it compressed.")
        if answer.status != http.client.PARTIAL_CONTENT:
            # The server ignores ranges, and sends the object from its beginning.
            size = answer.length
            check_length(url, stop, METADATA)
            return RemotePart(_limited(answer, url, stop, end)[start:], size, tag)
        if place is None or place[1] is None or int(place[1]) != start:
            raise SourceError(f"{url} cannot be read: the server sends another range.")
        return RemotePart(_limited(answer, url, stop - start, end), size, tag)

    return _read(url, patience, headers, read)


def _read(
    url: str,
    patience: float,
    headers: dict[str, str],
    body: Callable[[HTTPResponse, float], T],
) -> T | None:
    """Request an object, and return what `body` makes of the answer; None for 404."""
    end = monotonic() + patience
    authority = environ.get("TENSORSTORE_CA_BUNDLE") or environ.get("TENSORSTORE_CA_PATH")
    context = ssl.create_default_context(cafile=authority) if authority else None
    handlers: list[Any] = [_NoRedirect(), urllib.request.HTTPSHandler(context=context)]
    address = quote(url, safe="%/:=&~+!$,;'@()*[]")
    try:
        opener = urllib.request.build_opener(*handlers)
        asked = urllib.request.Request(address, headers=headers)
        with opener.open(asked, timeout=patience) as answer:
            return body(answer, end)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.NOT_FOUND:
                return None
            if headers and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return body(error, end)  # type: ignore[arg-type]  # it has the same attributes
        raise Unclear from error
    except TimeoutError as error:
        raise SourceError(f"{url} cannot be read: no answer within {patience:g} s.") from error
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        raise Unclear from error


def _limited(answer: HTTPResponse, url: str, limit: int, end: float) -> bytes:
    """Read up to a limit; a server may send more."""
    data = bytearray()
    while len(data) < limit and (piece := answer.read1(min(PIECE, limit - len(data)))):
        data += piece
        if monotonic() > end:
            raise TimeoutError
    if len(data) < limit and answer.length:
        raise SourceError(f"{url} cannot be read: the answer is cut short.")
    return bytes(data)


def _body(answer: HTTPResponse, url: str, end: float) -> bytes:
    check_length(url, answer.length or 0, METADATA)
    body = bytearray()
    while piece := answer.read1(PIECE):
        body += piece
        check_length(url, len(body), METADATA)
        if monotonic() > end:
            raise TimeoutError
    if answer.length:
        raise SourceError(f"{url} cannot be read: the answer is cut short.")
    coding = answer.headers.get("Content-Encoding", "identity").lower()
    if coding in CODINGS:
        data = zlib.decompressobj(CODINGS[coding]).decompress(body, METADATA + 1)
        check_length(url, len(data), METADATA)
        return data
    if coding != "identity":
        raise SourceError(f"{url} cannot be read: its content coding is {coding:.50}.")
    return bytes(body)
