"""A request for what is known of segments: some by their ids, or the largest of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.queries.feature import ENTITY, ROW_FORMATS
from bfly.queries.info import InfoQuery
from bfly.validation import Many, OneOf, Whole

if TYPE_CHECKING:
    from bfly.validation import Allowed

__all__ = ["SegmentsQuery"]

MOST = 2500
"""Most segments of one answer: that many ids, with percent-encoded commas, fit into an address of
at most 64 KiB."""


class SegmentsQuery(InfoQuery):
    """A request for segments.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`, and ``ids``: the segments. Without them, those of a page of all
        segments by size: ``count`` of them from place ``start`` on. ``format`` is one of
        `ROW_FORMATS`.

    Attributes
    ----------
    wanted : list of int
        The segments by their ids; empty for a page.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        "ids": "wanted",
        **{name: name for name in ("sort", "start", "count")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        "format": OneOf(lambda: ROW_FORMATS, "how the rows are written"),
        "ids": Many(ENTITY, MOST, "of the segments; without them, a page of all segments"),
        "sort": OneOf(lambda: ["voxels"], "order of a page: the largest first"),
        "start": Whole(0, 2**63 - 1, "first place of a page"),
        "count": Whole(1, MOST, "segments of a page"),
    }
    lasting = False
    format = "jsonl"
    wanted: list[int] = []  # noqa: RUF012 - replaced, never changed
    sort = "voxels"
    start = 0
    count = 100

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    @override
    def mime_type(self) -> str:
        """Media type of the rows."""
        return ROW_FORMATS[self.format]
