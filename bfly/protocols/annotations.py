"""Synapses as precomputed annotations, and properties of segments, below a precomputed channel.

The formats: ``src/datasource/precomputed/annotation.rst`` and ``segment_properties.rst`` in the
Neuroglancer repository.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bfly.geometry import zyx
from bfly.queries.annotation import AnnotationQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROPERTIES", "SYNAPSES", "annotation_query"]

SYNAPSES = "synapses"
PROPERTIES = "segment_properties"
"""Folders below a channel."""

_NUMBER = "(0|[1-9][0-9]{0,19})"
_ONE = re.compile(f"{SYNAPSES}/(by_id|pre|post)/{_NUMBER}")
_CELL = re.compile(f"{SYNAPSES}/spatial([0-9]{{1,2}})/{_NUMBER}_{_NUMBER}_{_NUMBER}")


def annotation_query(path: str, words: Mapping[str, Any]) -> AnnotationQuery | None:
    """Return the query of a path below a channel; None if the path is not one of annotations.

    Parameters
    ----------
    path : str
        Path below the channel.
    words : mapping
        Words of the channel's queries.

    Raises
    ------
    BadRequest
        An id has more than 64 bits.
    """
    words = {**words, "file": path}
    if path == f"{SYNAPSES}/info":
        return AnnotationQuery(part="info", **words)
    if path == f"{PROPERTIES}/info":
        return AnnotationQuery(part="segment_properties", **words)
    if one := _ONE.fullmatch(path):
        return AnnotationQuery(part=one[1], id=one[2], **words)
    if cell := _CELL.fullmatch(path):
        level, x, y, z = map(int, cell.groups())
        return AnnotationQuery(part="spatial", level=level, cell=zyx((z, y, x)), **words)
    return None
