"""Requests about the edits of a channel: what was done, and what is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LINES", "READ", "WRITE", "EditsQuery"]

READ = {
    "log": "operations, the latest first",
    "operation": "one operation",
    "roots": "the root ids of supervoxels, and of segments",
    "lineage": "the operations that led to a segment, and those that followed",
    "branches": "the branches and snapshots",
    "diff": "the segments in which two states differ",
    "conflicts": "what merging a branch would do, and what stands against it",
}
"""What can be asked, and its meaning."""

WRITE = {
    "merge": "join segments",
    "split": "part a segment",
    "preview": "the parts that a split would make, without an effect",
    "undo": "take back operations",
    "redo": "do again what was taken back",
    "branch": "begin a branch",
    "snapshot": "name a state",
    "merge-branch": "do what a branch did",
}
"""What can be done."""


LINES = ("branches", "diff", "conflicts", "branch", "snapshot", "merge-branch")
"""Of these, what is about several lines of edits, or names one."""


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
