"""``/api/edits``: the history of a segmentation, and merges, splits, undo and redo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, BadRequest
from bfly.protocols.protocol import Protocol, by_token, channel_words, dataset_named, words_beside
from bfly.queries.edit_actions import ACTIONS
from bfly.queries.edits import EditsQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config

__all__ = ["EditsAPI", "edits_query"]


class EditsAPI(Protocol):
    """``/api/edits/{address}/{action}``: GET to ask, POST of a JSON object to edit."""

    prefixes: ClassVar[tuple[str, ...]] = ("api/edits",)
    largest_body: ClassVar[int] = 4 << 20

    @override
    def methods(self, path: str) -> tuple[str, ...]:
        action = ACTIONS.get(path.rpartition("/")[2])
        if action is None:
            return super().methods(path)
        return ("POST",) if action.method == "POST" else ("GET", "HEAD")

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> EditsQuery:
        return edits_query(self.config, path.removeprefix("edits"), parameters)

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
        return edits_query(self.config, path.removeprefix("edits"), asked)


def edits_query(config: Config, path: str, asked: Mapping[str, Any]) -> EditsQuery:
    """Return the query of an action.

    Parameters
    ----------
    config : Config
        The served channels.
    path : str
        The address of a channel, and the action.
    asked : mapping
        Words of the action, as a client sent them.

    Raises
    ------
    Absent
        There is no such channel or action.
    BadRequest
        A word is missing, unknown, or has a value that is not allowed.
    """
    path = path.strip("/")
    channel, action = by_token(config, path)
    if action not in ACTIONS:
        allowed = ", ".join(ACTIONS)
        raise Absent(f"There is no {action or 'address'} of edits; allowed are {allowed}.")
    words = {**channel_words(channel), "name": channel.name, "labelled": (channel.path,)}
    token = config.addresses.former(path).partition("/")[0]
    beside = words_beside(channel, dataset_named(config, token))
    return EditsQuery(action=action, asked=asked, beside=beside, **words)
