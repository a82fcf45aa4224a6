"""Addresses of actions: GET with words in the address, POST of a JSON object."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, BadRequest
from bfly.protocols.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.queries.edit_actions import Action
    from bfly.queries.info import InfoQuery

__all__ = ["ActionsAPI"]


class ActionsAPI(Protocol):
    """``/api/{name}/{address}/{action}``: base of the protocols with a table of actions."""

    name: ClassVar[str]
    actions: ClassVar[Mapping[str, Action]]
    group: ClassVar[tuple[str, ...]]
    """The names of an address, from ``experiment`` down."""
    largest_body: ClassVar[int] = 4 << 20

    @staticmethod
    @abstractmethod
    def asked(config: Config, path: str, words: Mapping[str, Any]) -> InfoQuery:
        """Return the query of an action.

        Parameters
        ----------
        config : Config
            The served channels.
        path : str
            An address, and the action.
        words : mapping
            Words of the action, as a client sent them.

        Raises
        ------
        Absent
            There is no such address or action.
        BadRequest
            A word is missing, unknown, or has a value that is not allowed.
        """

    @override
    def methods(self, path: str) -> tuple[str, ...]:
        action = self.actions.get(path.rpartition("/")[2])
        if action is None:
            return super().methods(path)
        return ("POST",) if action.method == "POST" else ("GET", "HEAD")

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> InfoQuery:
        return self.asked(self.config, path.removeprefix(self.name), parameters)

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        try:
            words: Any = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not JSON: {error}.") from None
        if not isinstance(words, dict):
            raise BadRequest("The body is not a JSON object.")
        return self.asked(self.config, path.removeprefix(self.name), words)

    @classmethod
    def checked(cls, action: str) -> str:
        """Return the name of an action if there is one; else raise `Absent`."""
        if action not in cls.actions:
            allowed = ", ".join(cls.actions)
            raise Absent(f"There is no {action or 'address'} of {cls.name}; allowed are {allowed}.")
        return action
