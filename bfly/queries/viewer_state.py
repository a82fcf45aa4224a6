"""Requests for viewer states, which are stored under short addresses."""

from __future__ import annotations

import json

from bfly.queries.info import InfoQuery

__all__ = ["KeepStateQuery", "StateQuery"]


class StateQuery(InfoQuery):
    """A request for a state by its name.

    Parameters
    ----------
    state_name : str
        The name that the state was stored under.
    """

    def __init__(self, state_name: str) -> None:
        super().__init__()
        self.state_name = state_name


class KeepStateQuery(InfoQuery):
    """A request to store a state.

    Parameters
    ----------
    body : bytes
        The state, as JSON.
    address : str
        The answer is this, followed by the name of the state.
    """

    def __init__(self, body: bytes, address: str) -> None:
        super().__init__()
        self.body = body
        self._address = address

    def answer_text(self, state_name: str) -> str:
        """Return the address of the state, as a JSON string."""
        return json.dumps(self._address + state_name)
