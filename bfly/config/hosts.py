"""Names of hosts, and origins of pages, as browsers send them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

__all__ = ["Hosts", "Origins"]

_HOSTS = "a list of names like bfly.lab.org, .lab.org for all names below it, or *"
_ORIGINS = "a list of origins like https://lab.org:8080, or *"
_IMPLIED = {"http": ":80", "https": ":443"}


def _host_name(name: str) -> str:
    """Return a host name as browsers send it: lower case, Punycode, no trailing dot."""
    try:
        labels = [
            label if label.isascii() else label.encode("idna").decode("ascii")
            for label in name.lower().removesuffix(".").split(".")
        ]
    except UnicodeError:
        raise ValueError(_HOSTS) from None
    plain = ".".join(labels)
    if not re.fullmatch(r"\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*", plain):
        raise ValueError(_HOSTS)
    return plain


def _origin(origin: str) -> str:
    """Return an origin as browsers send it: lower case, without the scheme's default port."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix(_IMPLIED[scheme])}" if host else origin


Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], Field(description=_HOSTS)]
Origins = Annotated[
    tuple[
        Annotated[
            str,
            Field(pattern=r"^(\*|(?i:https?)://[a-zA-Z0-9._\[\]:-]+)$"),
            AfterValidator(_origin),
        ],
        ...,
    ],
    Field(description=_ORIGINS),
]
