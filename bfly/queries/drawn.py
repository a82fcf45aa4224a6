"""Requests about annotations that people make: the actions, and precomputed collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.annotation_actions import ANNOTATION_ACTIONS, LIST_FORMATS
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CollectionQuery", "DrawnQuery"]


class DrawnQuery(InfoQuery):
    """A request for annotations, or to change them.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``action``, one of `ANNOTATION_ACTIONS`; ``asked``, its words as a
        client sent them, which are checked; and ``store``, the name of the dataset in the store.

    Raises
    ------
    BadRequest
        A word is missing, unknown, or has a value that is not allowed.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in ("action", "asked", "store")},
    }
    lasting = False
    action: str
    store: str
    asked: Mapping[str, Any]

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.asked = ANNOTATION_ACTIONS[self.action].read(self.action, self.asked)

    @property
    @override
    def mime_type(self) -> str:
        return LIST_FORMATS[self.asked.get("format", "json")]


class CollectionQuery(InfoQuery):
    """A request for a part of a collection of precomputed annotations, of one type.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``type``, one of `bfly.annotations.annotation.TYPES`; ``part``:
        ``info``, ``by_id`` (with ``id``) or ``spatial``, all of them; and ``store``, the name of
        the dataset in the store.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in ("type", "part", "store")},
    }
    lasting = False
    type: str
    part: str
    store: str

    @property
    @override
    def mime_type(self) -> str:
        return "application/json" if self.part == "info" else "application/octet-stream"
