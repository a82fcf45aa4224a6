"""States of Neuroglancer at short addresses, as its button "Share" stores them.

The convention is that of JSON state servers: the answer to a POST of a state is a JSON string, the
permanent address of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.protocols.protocol import Protocol
from bfly.queries.viewer_state import KeepStateQuery, StateQuery
from bfly.storage.viewer_states import LARGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ViewerState"]


class ViewerState(Protocol):
    """``/state``, ``/state/{name}``."""

    prefixes: ClassVar[tuple[str, ...]] = ("state",)
    largest_body: ClassVar[int] = LARGEST

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> StateQuery:
        return StateQuery(path)

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> KeepStateQuery:
        return KeepStateQuery(body, f"{address}/state/")
