"""Operations in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.edits.operation import Operation

__all__ = ["described"]


def described(operations: Iterable[Operation]) -> str:
    """Return the number, kind, author and time of operations, for a message."""
    return ", ".join(
        f"{each.id} ({each.kind} by {each.who or 'unknown'}, "
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(each.time))})"
        for each in operations
    )
