"""Requests about segments: what is known of them, and all voxels of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.data import DataQuery
from bfly.queries.feature import ENTITY, ROW_FORMATS
from bfly.queries.info import InfoQuery
from bfly.validation import Many, OneOf, Text, Whole

if TYPE_CHECKING:
    from bfly.validation import Allowed

__all__ = ["RUN_FORMATS", "SegmentsQuery", "SparseVolumeQuery"]

MOST_IDS = 2500
"""Most segments of one answer by their ids: that many, with percent-encoded commas, fit into an
address of at most 64 KiB."""

MOST = 10_000
"""Most segments of a page."""

LONGEST = 200
"""Characters of a search."""


class SegmentsQuery(InfoQuery):
    """A request for segments.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`, and ``ids``: the segments. Without them, those of a page of all
        segments by size: ``count`` of them from place ``start`` on. ``search`` selects those
        whose id begins with it, and those whose neuron has it in a text of its row. ``format``
        is one of `ROW_FORMATS`.

    Attributes
    ----------
    wanted : list of int
        The segments by their ids; empty for a page.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        "ids": "wanted",
        **{name: name for name in ("search", "sort", "start", "count")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        "format": OneOf(lambda: ROW_FORMATS, "how the rows are written"),
        "ids": Many(ENTITY, MOST_IDS, "of the segments; without them, a page of all segments"),
        "search": Text(LONGEST, "of an id, its first digits; or a part of a neuron's name or type"),
        "sort": OneOf(lambda: ["voxels"], "order of a page: the largest first"),
        "start": Whole(0, 2**63 - 1, "first place of a page"),
        "count": Whole(1, MOST, "segments of a page"),
    }
    lasting = False
    format = "jsonl"
    wanted: list[int] = []  # noqa: RUF012 - replaced, never changed
    search = ""
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


RUN_FORMATS = {"rles": "application/octet-stream", **ROW_FORMATS}
"""Formats of runs: those of DVID, and those of rows."""


class SparseVolumeQuery(InfoQuery):
    """A request for the voxels of a segment, as runs along x.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``id`` is the segment, ``resolution`` the mip, and ``format`` one of
        `RUN_FORMATS`.
    """

    WORDS: ClassVar[dict[str, str]] = {**InfoQuery.WORDS, "resolution": "resolution"}
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        "format": OneOf(lambda: RUN_FORMATS, "how the runs are written"),
        "id": Whole(1, ENTITY.highest, "of the segment"),
        "resolution": DataQuery.ALLOWED["resolution"],
    }
    lasting = False
    format = "rles"
    resolution = 0

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.ALLOWED["id"].read("id", self.id)

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    @override
    def mime_type(self) -> str:
        """Media type of the runs."""
        return RUN_FORMATS[self.format]
