"""How chunks are stored, where that is how they may be answered."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["StoredAs"]


class StoredAs(NamedTuple):
    """A way in which chunks are stored.

    Parameters
    ----------
    format : str
        The name of an encoder: the stored bytes, or what they unpack to, are the chunk in it.
    coding : str
        How that is packed, as HTTP names content codings; "" if it is not.
    """

    format: str
    coding: str
