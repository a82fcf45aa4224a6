"""``/api/edits``: the history of a segmentation, and merges, splits, undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.protocols.actions import ActionsAPI
from bfly.protocols.api import GROUP
from bfly.protocols.protocol import by_token, channel_words, dataset_named, words_beside
from bfly.queries.edit_actions import ACTIONS
from bfly.queries.edits import EditsQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.queries.edit_actions import Action

__all__ = ["EditsAPI"]


class EditsAPI(ActionsAPI):
    """``/api/edits/{address}/{action}``: GET to ask, POST of a JSON object to edit."""

    prefixes: ClassVar[tuple[str, ...]] = ("api/edits",)
    name: ClassVar[str] = "edits"
    actions: ClassVar[Mapping[str, Action]] = ACTIONS
    group: ClassVar[tuple[str, ...]] = GROUP

    @staticmethod
    @override
    def asked(config: Config, path: str, words: Mapping[str, Any]) -> EditsQuery:
        path = path.strip("/")
        channel, action = by_token(config, path)
        about = {**channel_words(channel), "name": channel.name, "labelled": (channel.path,)}
        token = config.addresses.former(path).partition("/")[0]
        beside = words_beside(channel, dataset_named(config, token))
        return EditsQuery(action=EditsAPI.checked(action), asked=words, beside=beside, **about)
