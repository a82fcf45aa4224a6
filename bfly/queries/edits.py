"""Requests about the edits of a channel: what was done, and what is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["READ", "WRITE", "EditsQuery"]

READ = {
    "log": "operations, the latest first",
    "operation": "one operation",
    "roots": "the root ids of supervoxels, and of segments",
    "lineage": "the operations that led to a segment, and those that followed",
}
"""What can be asked, and its meaning."""

WRITE = {
    "merge": "join segments",
    "split": "part a segment",
    "preview": "the parts that a split would make, without an effect",
    "paint": "give voxels to a segment, a new one, or the background",
    "undo": "take back operations",
    "redo": "do again what was taken back",
}
"""What can be done."""


class EditsQuery(InfoQuery):
    """A request about edits.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``action``, one of `READ` or `WRITE`; ``asked``, the parameters of
        the address, or the JSON object that was posted; and ``beside``, the words of the other
        channels of the dataset.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in ("action", "asked", "beside")},
    }
    lasting = False
    action: str
    asked: Mapping[str, Any]
    beside: Sequence[Mapping[str, Any]] = ()

    @property
    @override
    def follows_edits(self) -> bool:
        return True
