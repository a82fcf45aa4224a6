"""A request for facts about the labels in a box, rather than for its voxels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.errors import BadRequest
from bfly.queries.data import BoxQuery
from bfly.validation import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FACTS", "LabelQuery"]

FACTS = ("unique", "highest", "box")
"""The labels but 0 that occur, the highest of them, or the box around one."""


class LabelQuery(BoxQuery):
    """A request for a fact about the labels in a box, of any size, or in the whole volume.

    Parameters
    ----------
    fact : {"unique", "highest", "box"}
        The requested fact.
    label : int
        The label, for ``box``.
    whole : bool
        Whether the box is the whole mip.
    **keywords
        Those of `BoxQuery`.

    """

    plain = False

    def __init__(self, fact: str, label: int = 0, whole: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.fact = one_of("fact", fact, FACTS)
        self.label = label
        self._all = whole

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        BadRequest
            The channel is an image.
        Absent
            The channel has no such mip.
        """
        super().update_source(keywords)
        self.volume.check_mip(self.resolution)
        if self.volume.kind != "segmentation":
            raise BadRequest(f"{self.path} is an image; only a segmentation has labels.")
        if self._all:
            (self.z, self.y, self.x) = self.whole.start
            (self.depth, self.height, self.width) = self.whole.shape

    def answer(self, found: Any) -> Any:
        """Return the fact as a value that JSON can hold.

        Parameters
        ----------
        found : set of int, int or BoundingBox
            The fact; a box is in voxels of the mip.
        """
        raise NotImplementedError

    def answer_text(self, found: Any) -> str:
        """Return the answer as JSON text."""
        return json.dumps(self.answer(found))

    @property
    def mime_type(self) -> str:
        """Media type of the answer."""
        return "application/json"
