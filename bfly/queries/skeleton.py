"""Requests for skeletons: a file of those of a channel, or one in a format of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.feature import ENTITY, RowsQuery
from bfly.queries.info import InfoQuery
from bfly.queries.stored_file import StoredFileQuery
from bfly.validation import OneOf, Whole

if TYPE_CHECKING:
    from bfly.validation import Allowed

__all__ = ["FOLDER", "SKELETON_FORMATS", "NodesQuery", "SkeletonFileQuery", "SkeletonQuery"]

FOLDER = "skeletons"
"""Folder of the computed skeletons, below the volume."""

SKELETON_FORMATS = {"swc": "text/plain; charset=utf-8", "json": "application/json"}


class SkeletonFileQuery(StoredFileQuery):
    """A request for a file in the folder `FOLDER` of a volume.

    If skeletons are stored with the volume, it is one for a stored file at the same path.
    """

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    def is_info(self) -> bool:
        """Whether it is the ``info`` of the skeletons."""
        return self.file == f"{FOLDER}/info"

    @property
    def segment(self) -> int | None:
        """The segment whose skeleton is requested; None if it is no such request."""
        found = re.fullmatch(rf"{FOLDER}/([0-9]{{1,20}})", self.file)
        return int(found[1]) if found else None


class SkeletonQuery(InfoQuery):
    """A request for the skeleton of a segment.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``id`` is the segment, and ``format`` one of `SKELETON_FORMATS`.
    """

    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        "format": OneOf(lambda: SKELETON_FORMATS, "how the skeleton is written"),
        "id": Whole(1, ENTITY.highest, "of the segment"),
    }
    lasting = False
    format = "swc"

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
        """Media type of the skeleton."""
        return SKELETON_FORMATS[self.format]


class NodesQuery(RowsQuery):
    """A request for the synapses of a neuron, each with the nearest node of its skeleton.

    Parameters
    ----------
    channel : dict
        The keywords of the neuron's channel.
    **keywords
        Those of `RowsQuery`, ``neuron`` among them.

    Attributes
    ----------
    of : SkeletonQuery
        The request for the skeleton.
    """

    def __init__(self, channel: dict[str, Any], **keywords: Any) -> None:
        super().__init__(**keywords)
        self._need("neuron", self.neuron)
        self.of = SkeletonQuery(id=self.neuron, labels=self.labels, **channel)
