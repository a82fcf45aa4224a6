"""Documents behind a URL, read up to the largest size of metadata."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
import zlib
from os import environ
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bfly.errors import SourceError
from bfly.storage.limits import METADATA, check_length

if TYPE_CHECKING:
    from http.client import HTTPResponse

__all__ = ["Unclear", "document"]

PIECE = 1 << 20
"""Bytes read between two checks of the time."""

CODINGS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Content codings that are decoded, with zlib's ``wbits`` of each."""


class Unclear(Exception):
    """A read that ended with neither the document nor 404."""


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
    end = monotonic() + patience
    authority = environ.get("TENSORSTORE_CA_BUNDLE") or environ.get("TENSORSTORE_CA_PATH")
    context = ssl.create_default_context(cafile=authority) if authority else None
    handlers: list[Any] = [_NoRedirect(), urllib.request.HTTPSHandler(context=context)]
    try:
        opener = urllib.request.build_opener(*handlers)
        with opener.open(quote(url, safe="%/:=&~+!$,;'@()*[]"), timeout=patience) as answer:
            return _body(answer, url, end)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.NOT_FOUND:
            return None
        raise Unclear from error
    except TimeoutError as error:
        raise SourceError(f"{url} cannot be read: no answer within {patience:g} s.") from error
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        raise Unclear from error


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
