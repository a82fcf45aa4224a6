"""Requests for synapses as annotations, and for the properties of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bfly.geometry import Zyx
from bfly.queries.feature import ENTITY
from bfly.queries.stored_file import StoredFileQuery
from bfly.validation import OneOf

if TYPE_CHECKING:
    from bfly.validation import Allowed

__all__ = ["PARTS", "AnnotationQuery"]

PARTS = ("info", "by_id", "pre", "post", "spatial", "segment_properties")


class AnnotationQuery(StoredFileQuery):
    """A request for a part of a dataset's annotations.

    If the database has no rows for it, it is one for a stored file at the same path.

    Parameters
    ----------
    **keywords
        Those of `StoredFileQuery`, and ``part``, one of `PARTS`. ``info`` describes the
        annotations, and ``by_id`` is the one with ``id``. ``pre`` and ``post`` are those with
        ``id`` as presynaptic or postsynaptic neuron. ``spatial`` is a ``cell`` (zyx) of a
        ``level``. ``segment_properties`` has the properties of neurons.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **StoredFileQuery.WORDS,
        **{name: name for name in ("part", "level", "cell")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **StoredFileQuery.ALLOWED,
        "part": OneOf(lambda: PARTS),
        "id": ENTITY,
    }
    method = "precompute_info"
    part = "info"
    level = 0
    cell: Zyx = (0, 0, 0)

    @property
    def mime_type(self) -> str:
        """Media type of the answer."""
        words = self.part in ("info", "segment_properties")
        return "application/json" if words else "application/octet-stream"
