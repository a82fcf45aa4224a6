"""Requests for the states of viewers that are kept at short addresses."""

from __future__ import annotations

import json

from bfly.queries.info import InfoQuery

__all__ = ["KeepStateQuery", "StateQuery"]


class StateQuery(InfoQuery):
    """A request for a state by its name.

    Parameters
    ----------
    state_name : str
        As it was given when the state was kept.
    """

    def __init__(self, state_name: str) -> None:
        super().__init__()
        self.state_name = state_name


class KeepStateQuery(InfoQuery):
    """A request to keep a state.

    Parameters
    ----------
    body : bytes
        The state, as JSON.
    address : str
        What the name of the state is appended to in the answer.
    """

    def __init__(self, body: bytes, address: str) -> None:
        super().__init__()
        self.body = body
        self._address = address

    def answer_text(self, state_name: str) -> str:
        """Return the address of the state, as a JSON string."""
        return json.dumps(self._address + state_name)
