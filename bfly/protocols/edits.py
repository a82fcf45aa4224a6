"""``/api/edits``: the history of a segmentation, and merges, splits, undo and redo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, BadRequest
from bfly.protocols.protocol import Protocol, by_token, channel_words
from bfly.queries.edits import READ, WRITE, EditsQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.config.tree import Channel

__all__ = ["EditsAPI"]


class EditsAPI(Protocol):
    """``/api/edits/{address}/{action}``: GET to ask, POST of a JSON object to edit."""

    prefixes: ClassVar[tuple[str, ...]] = ("api/edits",)
    largest_body: ClassVar[int] = 1 << 20

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> EditsQuery:
        return self._query(path, parameters, READ, "POST" if _action(path) in WRITE else "")

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> EditsQuery:
        try:
            asked: Any = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not JSON: {error}.") from None
        if not isinstance(asked, dict):
            raise BadRequest("The body is not a JSON object.")
        return self._query(path, asked, WRITE, "GET" if _action(path) in READ else "")

    def _query(
        self, path: str, asked: Mapping[str, Any], actions: Mapping[str, str], other: str
    ) -> EditsQuery:
        """Return the query of a path; `other` is the HTTP method that the action takes instead."""
        path = path.removeprefix("edits").strip("/")
        channel, action = by_token(self.config, path)
        if other:
            raise BadRequest(f"{action} takes {other}.")
        if action not in actions:
            allowed = ", ".join(actions)
            raise Absent(f"There is no {action or 'address'} of edits; allowed are {allowed}.")
        words = {**channel_words(channel), "name": channel.name, "labelled": (channel.path,)}
        beside = [channel_words(each) for each in self._dataset(path) if each is not channel]
        return EditsQuery(action=action, asked=asked, beside=beside, **words)

    def _dataset(self, path: str) -> Sequence[Channel]:
        """Return the channels of the dataset of an address."""
        token = self.config.addresses.former(path).partition("/")[0]
        return self.config.dataset(*token.split("::")).channels


def _action(path: str) -> str:
    return path.rpartition("/")[2]
