"""A query with a ready answer, which needs neither a channel nor the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[bytes, bytes]]

__all__ = ["FinishedQuery"]


class FinishedQuery(InfoQuery):
    """A request that the protocol itself has answered.

    Parameters
    ----------
    body : bytes
        Body of the answer.
    media_type : str
        Media type of the answer.
    headers : sequence of (bytes, bytes)
        Additional headers; one with the name of a default header replaces it.
    lasting : bool
        Whether the answer is valid as long as the process runs.
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
        """Media type of the answer."""
        return self._media_type
