"""``/metrics``: counters for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.metrics import CONTENT_TYPE_LATEST, page
from bfly.protocols.protocol import Protocol
from bfly.protocols.ready import FinishedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Metrics"]


class Metrics(Protocol):
    """``/metrics``."""

    prefixes: ClassVar[tuple[str, ...]] = ("metrics",)
    immediate = True

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> FinishedQuery:
        if path:
            raise Absent(f"There is nothing below /metrics, such as {path}.")
        headers = [(b"cache-control", b"no-store")]
        return FinishedQuery(page(), CONTENT_TYPE_LATEST, headers, lasting=False)
