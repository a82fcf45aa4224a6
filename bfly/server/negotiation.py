"""Content negotiation: content codings and media types that a client accepts (RFC 9110, 12)."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

__all__ = ["CODINGS", "accepted", "preferred"]

CODINGS = ("br", "zstd", "deflate", "gzip")
"""The content codings (RFC 9110, 8.4.1; RFC 7932; RFC 8878, 7.2) of responses. Butterfly compresses
only with gzip; the others are pass-through of stored chunks and files."""

FAIL_ON_DEFLATE = (b"python-requests/",)
"""Prefixes of the ``User-Agent`` of clients that accept ``deflate`` but may fail on it: CloudVolume
reads with ``requests``, its decoding switched off."""


LONGEST_KEPT = 512
"""Bytes of the longest header whose parsed value is cached; those of browsers have under 200."""


def accepted(accept: bytes, agent: bytes) -> tuple[str, ...]:
    """Return which of `CODINGS` may be sent.

    Parameters
    ----------
    accept, agent : bytes
        ``Accept-Encoding`` and ``User-Agent`` of the request.
    """
    read = _accepted if len(accept) <= LONGEST_KEPT else _accepted.__wrapped__
    return read(accept, agent.startswith(FAIL_ON_DEFLATE))


def preferred(accept: bytes, offered: tuple[str, ...]) -> str:
    """Return the media type that ``Accept`` prefers of those offered; "" if it names none."""
    read = _preferred if len(accept) <= LONGEST_KEPT else _preferred.__wrapped__
    return read(accept, offered)


@lru_cache(maxsize=256)
def _accepted(accept: bytes, fails_on_deflate: bool) -> tuple[str, ...]:
    refused = {}
    for part in accept.lower().split(b","):
        coding, _, quality = part.partition(b";")
        value = quality.partition(b"=")[2].strip()
        refused[coding.strip()] = bool(value) and value.rstrip(b"0") in (b"0.", b"")
    taken = {
        "br": refused.get(b"br") is False,
        "zstd": refused.get(b"zstd") is False,
        "deflate": refused.get(b"deflate") is False and not fails_on_deflate,
        "gzip": refused.get(b"gzip", refused.get(b"x-gzip", refused.get(b"*"))) is False,
    }
    return tuple(name for name in CODINGS if taken[name])


@lru_cache(maxsize=256)
def _preferred(accept: bytes, offered: tuple[str, ...]) -> str:
    qualities = {}
    for part in accept.decode("latin-1").lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        stated = [word[2:] for word in parameters if word.startswith("q=")]
        with suppress(ValueError):
            qualities[name] = float(stated[0]) if stated else 1.0
    named = [name for name in offered if qualities.get(name)]
    return max(named, key=lambda name: qualities[name], default="")
