"""Requests about neurons and synapses: one fact, or rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import BadRequest
from bfly.geometry import BoundingBox
from bfly.keywords import INPUT
from bfly.queries.data import MOST_HALVINGS
from bfly.queries.info import InfoQuery
from bfly.queries.query import one_of, whole_number

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["FeatureQuery", "RowsQuery", "entity_id"]

BOX = ("z", "y", "x", "depth", "height", "width")
MOST_WANTED = 5000
"""The most neurons of one connectivity matrix, which takes 8 bytes for each pair."""

ROW_FORMATS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""How rows are written: a JSON object a line, CSV with a header, or an Arrow IPC stream."""


def entity_id(name: str, value: Any) -> int:
    """Read the id of a neuron or a synapse, an unsigned number of 64 bits.

    Raises
    ------
    BadRequest
        It is none.
    """
    return whole_number(name, value, 0, 2**64 - 1)


class _Entities(InfoQuery):
    """What both requests share: a dataset, and perhaps a box.

    Parameters
    ----------
    **keywords
        The words of `InfoQuery`, and ``z``, ``y``, ``x``, ``depth``, ``height``, ``width`` (a
        box: all of them, or none), ``resolution`` (y, x, height and width count voxels of
        that mip) and ``ids`` (``number``, or ``string`` for programs without 64-bit numbers).
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in (*BOX, "resolution", "ids")},
    }
    lasting = False
    ids = "number"
    resolution = 0

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.ids = one_of("ids", self.ids, ["number", "string"])
        self.resolution = whole_number("resolution", self.resolution, 0, MOST_HALVINGS)
        self.box = self._box(keywords)

    def _box(self, keywords: dict[str, Any]) -> BoundingBox | None:
        """Give the box in voxels of mip 0."""
        missing = [name for name in BOX if name not in keywords]
        if missing == list(BOX):
            return None
        if missing:
            raise BadRequest(f"The {missing[0]} is missing; a box needs {', '.join(BOX)}.")
        lowest = (None, None, None, 0, 0, 0)
        z, y, x, depth, height, width = (
            whole_number(name, keywords[name], low, 2**53)
            for name, low in zip(BOX, lowest, strict=True)
        )
        shape: Zyx = (depth, height, width)
        factor = 1, 1 << self.resolution, 1 << self.resolution
        return BoundingBox.of_shape(shape, (z, y, x)).refined(factor)


class FeatureQuery(_Entities):
    """A request for one fact (``entity_feature``).

    Attributes
    ----------
    table : {"neuron", "synapse"}
        Which table knows it.
    answer : object
        The fact, once it is known.
    """

    answer: Any = None

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"method": "entity_feature", **keywords})
        words = INPUT.FEATURES
        self.feature = one_of("feature", self.feature, words.LIST)
        needs_id = self.feature in words.ID_LIST or self.feature == "neuron_children"
        if needs_id and self.id is None:
            raise BadRequest(f"The id is missing, which {self.feature} needs.")
        self.id = entity_id("id", self.id) if needs_id else None
        if self.feature in words.BOX_LIST and self.box is None:
            raise BadRequest(f"The z is missing; {self.feature} needs {', '.join(BOX)}.")
        of_neurons = ("is_neuron", "neuron_keypoint", "all_neurons")
        self.table = "neuron" if self.feature in of_neurons else "synapse"

    @property
    def result(self) -> Any:
        """The fact, with its ids as they are wanted."""
        answer = self.answer
        if self.ids == "number" or self.feature.endswith("keypoint"):
            return answer
        if isinstance(answer, dict) and self.feature == "synapse_parent":
            return {name: str(number) for name, number in answer.items()}
        if isinstance(answer, dict):
            return {str(number): side for number, side in answer.items()}
        return list(map(str, answer)) if isinstance(answer, list) else answer


class RowsQuery(_Entities):
    """A request for rows: ``synapses``, ``neurons``, ``partners`` or ``connectivity``.

    Parameters
    ----------
    **keywords
        Those of `FeatureQuery`, and ``rows`` (which of the four), ``neuron``, ``pre`` and
        ``post`` (only synapses of, before or after a neuron), ``list`` (the ids of a
        connectivity matrix) and ``rows_format`` (see `ROW_FORMATS`).
    """

    WORDS: ClassVar[dict[str, str]] = {
        **_Entities.WORDS,
        **{name: name for name in ("rows", "neuron", "pre", "post", "rows_format")},
    }
    rows = "synapses"
    rows_format = "jsonl"
    neuron: int | None = None
    pre: int | None = None
    post: int | None = None

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.rows_format = one_of("format", self.rows_format, ROW_FORMATS)
        for name in ("neuron", "pre", "post"):
            if getattr(self, name) is not None:
                setattr(self, name, entity_id(name, getattr(self, name)))
        self.id = None if self.id is None else entity_id("id", self.id)
        self.wanted = [entity_id("ids", number) for number in self.names]
        if self.rows == "partners" and self.id is None:
            raise BadRequest("The id is missing.")
        if self.rows == "connectivity" and not 0 < len(self.wanted) <= MOST_WANTED:
            raise BadRequest(f"There are {len(self.wanted)} ids; allowed are 1 to {MOST_WANTED}.")

    @property
    def mime_type(self) -> str:
        """The media type of the rows."""
        return ROW_FORMATS[self.rows_format]
