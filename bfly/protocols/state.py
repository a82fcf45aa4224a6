"""States of Neuroglancer at short addresses, as its button "Share" stores them.

The convention is that of JSON state servers: the answer to a POST of a state is a JSON string, the
permanent address of the state.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery
from bfly.storage.viewer_states import LARGEST, States

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config

__all__ = ["ViewerState"]

FOLDER = "bfly-states"
"""Folder of the states, next to the database's file or else in the working directory."""


class ViewerState(Protocol):
    """``/state``, ``/state/{name}``."""

    prefixes: ClassVar[tuple[str, ...]] = ("state",)
    largest_body: ClassVar[int] = LARGEST

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        beside = config.db_path if config.db_type in (None, "Sqlite") else None
        self._states = States(os.path.join(os.path.dirname(beside or ""), FOLDER))

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        # The state of a name never changes.
        headers = [(b"cache-control", b"public, max-age=31536000, immutable")]
        return FinishedQuery(self._states.get(path), "application/json", headers)

    @override
    def post(self, path: str, body: bytes, address: str) -> FinishedQuery:
        name = self._states.keep(body)
        return FinishedQuery(json.dumps(f"{address}/state/{name}").encode(), "application/json")
