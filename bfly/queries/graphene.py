"""Requests of graphene clients about the segments of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GrapheneQuery"]


class GrapheneQuery(InfoQuery):
    """A request of a graphene client.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``call``, the name of the call; ``node``, the id in its path, if it
        has one; ``asked``, the parameters of the address; ``body``, the body, parsed unless it is
        binary; ``beside``, the words of the other channels of the dataset; ``table``, the name of
        the channel for these clients; ``address``, that of the server as the client sees it.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{word: word for word in ("call", "node", "asked", "body", "beside", "table", "address")},
    }
    lasting = False
    call: str
    node: int = 0
    asked: Mapping[str, str]
    body: Any = None
    beside: Sequence[Mapping[str, Any]] = ()
    table = ""
    address = ""

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    def mime_type(self) -> str:
        """Media type of the answer; clients compare that of JSON as a whole."""
        is_binary = self.call in ("roots_binary", "minimal_covering_nodes", "fragment")
        return "application/octet-stream" if is_binary else "application/json"
