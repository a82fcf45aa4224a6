"""Requests for a file of the meshes, skeletons or annotations that are stored with a volume."""

from __future__ import annotations

import re
from typing import ClassVar

from typing_extensions import override

from bfly.queries.info import InfoQuery

__all__ = ["StoredFileQuery"]

_WORDS = re.compile(r"(?:.*/)?(?:info|[0-9]+:[0-9]+)", re.DOTALL)
"""Files that hold JSON: an ``info``, or the list of the fragments of a legacy mesh."""


class StoredFileQuery(InfoQuery):
    """A request for a file of a layer, which is passed through.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`, and ``file``, its path below the volume.
    """

    WORDS: ClassVar[dict[str, str]] = {**InfoQuery.WORDS, "file": "file"}
    lasting = False  # it is not watched
    file = ""

    @property
    @override
    def mime_type(self) -> str:
        """Media type of the answer."""
        words = _WORDS.fullmatch(self.file)
        return "application/json" if words else "application/octet-stream"
