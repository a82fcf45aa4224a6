"""Answers about the labels in a box: all of them, the highest, or the box around one.

A label index that is there narrows what is read, or answers by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.channels import on_current_files
from bfly.cutouts.label_stats import MOST_VALUES, box_of, check_work, highest, unique
from bfly.errors import Absent, TooLarge
from bfly.geometry import BoundingBox, zyx
from bfly.segments.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.cutouts.cutouts import Cutouts
    from bfly.queries.data import DataQuery
    from bfly.queries.label import LabelQuery
    from bfly.queries.query import Query
    from bfly.segments.index import Index
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
        Returns the label index of a channel, None if there is none.
    """

    def __init__(
        self,
        keywords: Callable[[Query], dict[str, Any]],
        cutouts: Cutouts,
        indexed: Callable[[Volume], Index | None],
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
        """Return what a request asks for: the labels, the highest, or the box of one."""
        return on_current_files(l_query, self._keywords, self._find)

    def unique(self, d_query: DataQuery) -> set[Any]:
        """Return the values that occur, as Python numbers."""

        def find(current: DataQuery) -> set[Any]:
            return set(unique(self._cutouts, current.region).tolist())

        return on_current_files(d_query, self._keywords, find)

    def _find(self, l_query: LabelQuery) -> set[Any] | int | BoundingBox:
        region = l_query.region
        if l_query.fact == "box":
            return self._box(region, l_query.label)
        check_work(region)
        return self._listed(region) if l_query.fact == "unique" else highest(self._cutouts, region)

    def _box(self, region: Region, label: int) -> BoundingBox:
        known = self._known_box(region, label)
        box = known
        if known is None or region.level.mip or known not in region.box:
            region = region if known is None else region.part(region.box & known)
            check_work(region)
            box = box_of(self._cutouts, region, label) if region.box.size else None
        if box is None or not box.size:
            raise Absent(f"There is no label {label} at resolution {region.level.mip}.")
        return box

    def _known_box(self, region: Region, label: int) -> BoundingBox | None:
        """Return a box with all voxels of a label, exact at mip 0; None without an index.

        It is empty if there is no such label.
        """
        index = self._indexed(region.volume) if 0 < label < 2**64 else None
        if index is None:
            return None
        ids, edits = np.array([label], np.uint64), region.edits
        is_there = edits is None or bool(edits.is_name(ids)[0])
        rows = Segments(index, edits).of(ids if is_there else ids[:0])
        if not len(rows):
            return BoundingBox((0, 0, 0), (0, 0, 0))
        first, factor = region.volume.level(0).origin, region.level.factor
        low, high = (rows[0][field].astype(np.int64) + first for field in ("low", "high"))
        return BoundingBox(zyx(low // factor), zyx(-(-high // factor)))

    def _listed(self, region: Region) -> set[Any]:
        values = unique(self._cutouts, region)
        if len(values) > MOST_VALUES:
            raise TooLarge(
                f"There are {len(values)} values at resolution {region.level.mip}; at most "
                f"{MOST_VALUES} are listed. Ask for a smaller box."
            )
        return set(values.tolist())
