"""A request whose answer takes neither a channel nor the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[bytes, bytes]]

__all__ = ["FinishedQuery"]


class FinishedQuery(InfoQuery):
    """A request that the protocol itself can answer.

    Parameters
    ----------
    body : bytes
        The answer.
    media_type : str
        Its media type.
    headers : sequence of (bytes, bytes)
        Of the answer, besides those of every answer; one of a same name counts instead.
    lasting : bool
        Whether the answer holds for as long as the program runs.
    """

    def __init__(
        self, body: bytes, media_type: str, headers: Headers | None = None, lasting: bool = True
    ) -> None:
        super().__init__()
        self.body = body
        self.headers = headers or []
        self.lasting = lasting
        self._media_type = media_type

    @property
    def mime_type(self) -> str:
        """The media type of the answer."""
        return self._media_type
