"""Documents behind a URL, of which no more is taken than a document of metadata may have."""

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
"""Bytes that are read between two looks at the clock."""

CODINGS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Content codings that are undone, and how zlib names them."""


class Unclear(Exception):
    """The server answered neither with the document nor that there is none."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: what is behind a redirect is not known to be allowed."""


def document(url: str, patience: float) -> bytes | None:
    """Read an object behind an ``http`` or ``https`` URL; None where there is none.

    A server may send any number of bytes, whatever range it is asked for. Therefore the answer
    is read here, piece by piece.

    Parameters
    ----------
    url : str
        The whole URL.
    patience : float
        Seconds after which reading is given up.

    Raises
    ------
    Oversized
        It is longer than metadata may be.
    SourceError
        The server takes too long.
    Unclear
        There is another way to find out what is wrong.
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
        raise SourceError(f"{url} cannot be read: it is packed by {coding:.50}.")
    return bytes(body)
