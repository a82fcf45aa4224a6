"""Answers about the labels in a box: all of them, the highest, or the box around one.

A label index that is there narrows what is read, or answers by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.channels import on_current_files
from bfly.core.indexed_labels import IndexedLabels
from bfly.cutouts.label_stats import MOST_VALUES, box_of, check_work, highest, unique
from bfly.errors import Absent, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.queries.data import DataQuery
    from bfly.queries.label import LabelQuery
    from bfly.queries.query import Query
    from bfly.segments.segments import Segments
    from bfly.volumes.region import Region
    from bfly.volumes.volume import Volume

__all__ = ["LabelAnswers"]


class LabelAnswers:
    """Finds facts about labels; the box may exceed ``max-cutout-size``.

    Parameters
    ----------
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    cutouts : Cutouts
        Reads their voxels.
    indexed : callable
        Returns the segments of a channel after its edits, None if it has no label index.
    """

    def __init__(
        self,
        keywords: Callable[[Query], dict[str, Any]],
        cutouts: Cutouts,
        indexed: Callable[[Volume, EditState | None], Segments | None],
    ) -> None:
        self._keywords = keywords
        self._cutouts = cutouts
        self._indexed = indexed

    def answer(self, l_query: LabelQuery) -> str:
        """Return the answer to a request as JSON text.

        Raises
        ------
        BadRequest
            The channel is an image.
        Absent
            The label is not in the box.
        TooLarge
            More voxels would have to be read than `check_work` allows, or more than
            `MOST_VALUES` labels listed.
        """
        return l_query.answer_text(self.find(l_query))

    def find(self, l_query: LabelQuery) -> set[Any] | int | BoundingBox:
        """Return what a request asks for: the labels but 0, the highest, or the box of one."""
        return on_current_files(l_query, self._keywords, self._find)

    def unique(self, d_query: DataQuery) -> set[Any]:
        """Return the values that occur, as Python numbers."""

        def find(current: DataQuery) -> set[Any]:
            return set(unique(self._cutouts, current.region).tolist())

        return on_current_files(d_query, self._keywords, find)

    def _find(self, l_query: LabelQuery) -> set[Any] | int | BoundingBox:
        region = l_query.region
        segments = self._indexed(region.volume, region.edits)
        indexed = IndexedLabels(self._cutouts, region, segments) if segments else None
        if l_query.fact == "box":
            return self._box(region, l_query.label, indexed)
        if l_query.fact == "unique" and indexed and indexed.is_whole:
            _check_count(indexed.segments.count, region)
        parts = indexed.parts() if indexed else None
        if l_query.fact == "unique":
            return self._listed(region, parts)
        if parts is not None:
            return max((int(part.max()) for part in parts if len(part)), default=0)
        check_work(region)
        return highest(self._cutouts, region)

    def _box(self, region: Region, label: int, indexed: IndexedLabels | None) -> BoundingBox:
        box: BoundingBox | None = None
        if label <= np.iinfo(region.dtype).max:
            if label > 0 and indexed:
                box = indexed.box(label)
            else:
                check_work(region)
                box = box_of(self._cutouts, region, label)
        if box is None or not box.size:
            raise Absent(f"There is no label {label} at resolution {region.level.mip}.")
        return box

    def _listed(self, region: Region, parts: Iterator[Any] | None) -> set[Any]:
        if parts is None:
            check_work(region)
            values = unique(self._cutouts, region)
            values = values[values != 0]
        else:
            values = np.unique(np.concatenate([np.empty(0, region.dtype), *parts]))
        _check_count(len(values), region)
        return set(values.tolist())


def _check_count(count: int, region: Region) -> None:
    """Raise `TooLarge` if there are more labels than are listed."""
    if count > MOST_VALUES:
        raise TooLarge(
            f"There are {count} values at resolution {region.level.mip}; at most {MOST_VALUES} "
            "are listed. Ask for a smaller box."
        )
