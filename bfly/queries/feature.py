"""Requests about neurons and synapses: one fact, or rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from typing_extensions import override

from bfly.geometry import BoundingBox
from bfly.keywords import INPUT
from bfly.queries.cutout import FAR
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.validation import Many, OneOf, Whole

if TYPE_CHECKING:
    from bfly.geometry import Zyx
    from bfly.validation import Allowed

__all__ = ["FeatureQuery", "MatrixQuery", "RowsQuery"]

BOX = ("z", "y", "x", "depth", "height", "width")
MOST_WANTED = 2500
"""Most neurons of one connectivity matrix: that many ids, with percent-encoded commas, fit into an
address of at most 64 KiB."""

ROW_FORMATS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""Formats of rows: a JSON object per line, CSV with a header, or an Arrow IPC stream."""


ENTITY = Whole(0, 2**64 - 1)
"""Id of a neuron or a synapse: an unsigned integer of 64 bits."""


class _Entities(InfoQuery):
    """Base of these requests: a dataset, and optionally a box.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`, and for a box ``z``, ``y``, ``x``, ``depth`` (default 1), ``height``,
        ``width``: all of them, or none. ``y``, ``x``, ``height`` and ``width`` count voxels of the
        mip ``resolution``. ``ids`` is ``number``, or ``string`` for programs without 64-bit
        integers.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **InfoQuery.WORDS,
        **{name: name for name in (*BOX, "resolution", "ids")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **InfoQuery.ALLOWED,
        **{axis: DataQuery.ALLOWED[axis] for axis in "zyx"},
        "depth": Whole(0, FAR, "how many sections"),
        "height": Whole(0, FAR, "how many voxels of the mip in y"),
        "width": Whole(0, FAR, "how many voxels of the mip in x"),
        "resolution": DataQuery.ALLOWED["resolution"],
        "ids": OneOf(lambda: ["number", "string"], "how the ids are written"),
    }
    lasting = False
    z = y = x = 0
    depth = 1
    height = width = 0
    ids = "number"
    resolution = 0

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.box = self._box(keywords)

    def _box(self, keywords: dict[str, Any]) -> BoundingBox | None:
        """Return the box in voxels of mip 0; None if no box was sent."""
        if not any(name in keywords for name in BOX):
            return None
        for name in BOX:
            if name != "depth":
                self._need(name, keywords.get(name))
        z, y, x = self.z, self.y, self.x
        shape: Zyx = (self.depth, self.height, self.width)
        factor = 1, 1 << self.resolution, 1 << self.resolution
        return BoundingBox.of_shape(shape, (z, y, x)).refined(factor)

    def _need(self, name: str, value: Any) -> None:
        """Raise `BadRequest` if a value is None or not allowed."""
        self.ALLOWED[name].read(name, value)


class FeatureQuery(_Entities):
    """A request for one fact (``entity_feature``).

    Attributes
    ----------
    table : {"neuron", "synapse"}
        Table that holds the fact.
    """

    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **_Entities.ALLOWED,
        "feature": OneOf(lambda: INPUT.FEATURES.LIST, "which fact"),
        "id": Whole(-ENTITY.highest, ENTITY.highest, "of which neuron or synapse"),
    }

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"method": "entity_feature", "feature": "", **keywords})
        words = INPUT.FEATURES
        if self.feature in (*words.ID_LIST, *words.ID_BOX_LIST):
            self._need("id", self.id)
        else:
            self.id = None
        needs_box = self.feature in (*words.BOX_LIST, *words.ID_BOX_LIST)
        if needs_box and self.box is None:
            self._need("z", None)
        of_neurons = self.feature in words.TABLES.NEURON.LIST
        self.table = "neuron" if of_neurons else "synapse"

    def answer_text(self, answer: Any) -> str:
        """Return a fact in the requested format, its ids as numbers or strings."""
        return self._text(self._with_ids(answer))

    def _with_ids(self, answer: Any) -> Any:
        if self.ids == "number" or self.feature.endswith("keypoint"):
            return answer
        if isinstance(answer, dict) and self.feature == "synapse_parent":
            return {name: str(number) for name, number in answer.items()}
        if isinstance(answer, dict):
            return {str(number): side for number, side in answer.items()}
        return list(map(str, answer)) if isinstance(answer, list) else answer

    @override
    def _text(self, answer: Any) -> str:
        if self.format == "yaml":
            return super()._text(answer)
        # For thousands of ids, `json` takes as long as the database.
        return orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS).decode()


class RowsQuery(_Entities):
    """A request for rows: ``synapses``, ``neurons``, ``partners`` or ``connectivity``.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery` and of the box, and ``rows`` (one of the four). ``neuron``, ``pre``
        and ``post`` select the synapses of a neuron, or those where it is presynaptic or
        postsynaptic. ``skeleton`` is for a `NodesQuery`. ``format`` is one of `ROW_FORMATS`.

    Attributes
    ----------
    wanted : list of int
        Neurons of a connectivity matrix.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **_Entities.WORDS,
        **{name: name for name in ("rows", "neuron", "pre", "post", "skeleton")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **_Entities.ALLOWED,
        "format": OneOf(lambda: ROW_FORMATS, "how the rows are written"),
        "id": Whole(0, ENTITY.highest, "of which neuron"),
        "neuron": Whole(0, ENTITY.highest, "only synapses of this neuron"),
        "pre": Whole(0, ENTITY.highest, "only synapses with this presynaptic neuron"),
        "post": Whole(0, ENTITY.highest, "only synapses with this postsynaptic neuron"),
        "skeleton": OneOf(lambda: ["nearest"], "add the nearest node of the neuron's skeleton"),
    }
    rows = "synapses"
    format = "jsonl"
    neuron: int | None = None
    pre: int | None = None
    post: int | None = None
    skeleton: str | None = None
    wanted: list[int] = []  # noqa: RUF012 - replaced, never changed

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        if self.rows == "partners":
            self._need("id", self.id)

    @property
    def mime_type(self) -> str:
        """Media type of the rows."""
        return ROW_FORMATS[self.format]


class MatrixQuery(RowsQuery):
    """A request for ``connectivity``; its ``ids`` are the neurons of the matrix."""

    WORDS: ClassVar[dict[str, str]] = {**RowsQuery.WORDS, "ids": "wanted"}
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **RowsQuery.ALLOWED,
        "ids": Many(ENTITY, MOST_WANTED, "of the neurons of the matrix"),
    }
