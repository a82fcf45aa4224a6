"""Requests about the edits of a channel: what was done, and what is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.edit_actions import ACTIONS
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EditsQuery"]


class EditsQuery(InfoQuery):
    """A request about edits.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``action``, one of `ACTIONS`; ``asked``, its words as a client sent
        them, which are checked; and ``beside``, the words of the other channels of the dataset.

    Raises
    ------
    BadRequest
        A word is missing, unknown, or has a value that is not allowed.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in ("action", "asked", "beside")},
    }
    lasting = False
    action: str
    asked: Mapping[str, Any]
    beside: Sequence[Mapping[str, Any]] = ()

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.asked = ACTIONS[self.action].read(self.action, self.asked)

    @property
    @override
    def follows_edits(self) -> bool:
        return True
