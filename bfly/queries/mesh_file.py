"""A request for the whole mesh of a segment as one file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.queries.data import DataQuery
from bfly.queries.feature import ENTITY
from bfly.queries.info import InfoQuery
from bfly.segments.mesh_files import MESH_FORMATS
from bfly.validation import OneOf, Whole

if TYPE_CHECKING:
    from bfly.validation import Allowed

__all__ = ["MeshFileQuery"]


class MeshFileQuery(InfoQuery):
    """A request for the mesh of a segment.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; ``id`` is the segment, ``mip`` that of its voxels, and ``format`` one
        of `MESH_FORMATS`.
    """

    WORDS: ClassVar[dict[str, str]] = {**InfoQuery.WORDS, "mip": "mip"}
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        "format": OneOf(lambda: MESH_FORMATS, "of the file"),
        "id": Whole(1, ENTITY.highest, "of the segment"),
        "mip": DataQuery.ALLOWED["resolution"],
    }
    lasting = False
    format = "ply"
    mip: int | None = None

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
        """Media type of the file."""
        return MESH_FORMATS[self.format]

    @property
    def file_name(self) -> str:
        """Name under which a browser saves the file."""
        channel = re.sub(r"[^A-Za-z0-9._-]+", "_", self.name)
        return f"{channel}-{self.id}.{self.format}"
