"""Answers about the labels in a box: all of them, the highest, or the box around one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.core.channels import on_current_files
from bfly.cutouts.label_stats import MOST_VALUES, box_of, check_work, highest, unique
from bfly.errors import Absent, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.cutouts.cutouts import Cutouts
    from bfly.geometry import BoundingBox
    from bfly.queries.data import DataQuery
    from bfly.queries.label import LabelQuery
    from bfly.queries.query import Query
    from bfly.volumes.region import Region

__all__ = ["LabelAnswers"]


class LabelAnswers:
    """Finds facts about labels; the box may exceed ``max-cutout-size``.

    Parameters
    ----------
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    cutouts : Cutouts
        Reads their voxels.
    """

    def __init__(self, keywords: Callable[[Query], dict[str, Any]], cutouts: Cutouts) -> None:
        self._keywords = keywords
        self._cutouts = cutouts

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
        check_work(region)
        if l_query.fact == "unique":
            return self._listed(region)
        if l_query.fact == "highest":
            return highest(self._cutouts, region)
        box = box_of(self._cutouts, region, l_query.label)
        if box is None:
            raise Absent(f"There is no label {l_query.label} at resolution {region.level.mip}.")
        return box

    def _listed(self, region: Region) -> set[Any]:
        values = unique(self._cutouts, region)
        if len(values) > MOST_VALUES:
            raise TooLarge(
                f"There are {len(values)} values at resolution {region.level.mip}; at most "
                f"{MOST_VALUES} are listed. Ask for a smaller box."
            )
        return set(values.tolist())
