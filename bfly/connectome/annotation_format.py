"""Synapses as Neuroglancer's precomputed annotations: their schema and binary form.

The format: ``src/datasource/precomputed/annotation.rst`` in the Neuroglancer repository.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.tables.columns import ENDS, IDS, KEYS, POINT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bfly.tables.columns import Columns, Ranges

__all__ = ["RELATIONS", "Property", "Schema", "number_type"]

RELATIONS = {"pre": "n1", "post": "n2"}
"""From a relationship to the column with its neuron."""


class Property(NamedTuple):
    """A numeric property of each annotation: identifier, column and Neuroglancer's type."""

    id: str
    column: str
    type: str


def number_type(column: NDArray[Any], span: tuple[float, float]) -> str | None:
    """Return Neuroglancer's type for a column; None if it has none.

    Parameters
    ----------
    column : numpy.ndarray
        Only its dtype counts.
    span : tuple of float
        Lowest and highest value: 64-bit integers need to fit into 32 bits.
    """
    kind, size = column.dtype.kind, column.dtype.itemsize
    if kind == "f":
        return "float32"
    if kind == "b":
        return "uint8"
    if kind not in "iu":
        return None
    if size < 8:
        return column.dtype.name
    for name in ("uint32", "int32"):
        if np.iinfo(name).min <= span[0] and span[1] <= np.iinfo(name).max:
            return name
    return None


@dataclass(frozen=True)
class Schema:
    """Fields of the annotations of a dataset.

    Parameters
    ----------
    lines : bool
        Lines from the presynaptic to the postsynaptic position; else points.
    properties : tuple of Property
        Widest types first, as the format requires.
    """

    lines: bool
    properties: tuple[Property, ...]

    @classmethod
    def of(cls, columns: Columns, ranges: Ranges) -> Schema:
        """Derive the schema from the columns of synapses.

        Parameters
        ----------
        columns : Columns
            Any number of synapses; only the dtypes count.
        ranges : Ranges
            Ranges of the columns over all synapses.
        """
        ends = [name for end in ENDS for name in end]
        lines = all(name in columns and columns[name].dtype.kind == "f" for name in ends)
        hidden = {*IDS["synapse"], *POINT, *(ends if lines else ())}
        properties: dict[str, Property] = {}
        for name, column in columns.items():
            kind = number_type(column, ranges.get(name, (0, 0)))
            if name not in hidden and kind:
                identifier = _identifier(name, properties)
                properties[identifier] = Property(identifier, name, kind)
        wide_first = sorted(properties.values(), key=lambda p: -np.dtype(p.type).itemsize)
        return cls(lines, tuple(wide_first))

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Dtype of an annotation, padded to a multiple of four bytes."""
        place = ("place", "<f4", (6 if self.lines else 3,))
        numbers = [(f"p_{p.id}", np.dtype(p.type).newbyteorder("<")) for p in self.properties]
        unpadded = np.dtype([place, *numbers]).itemsize
        return np.dtype([place, *numbers, ("padding", "u1", (-unpadded % 4,))])

    def description(self) -> dict[str, Any]:
        """Return the part of ``info`` that describes the schema."""
        return {
            # Neuroglancer reads either case, CloudVolume only capitals.
            "annotation_type": "LINE" if self.lines else "POINT",
            "properties": [
                {
                    "id": p.id,
                    "type": p.type,
                    **({"description": p.column} if p.id != p.column else {}),
                }
                for p in self.properties
            ],
        }

    def many(self, synapses: Columns) -> bytes:
        """Return synapses as the bytes of a list."""
        ids = synapses[KEYS["synapse"]].astype("<u8")
        count = len(ids).to_bytes(8, "little")
        return b"".join([count, self._records(synapses).tobytes(), ids.tobytes()])

    def single(self, synapse: Columns) -> bytes:
        """Return the bytes of one synapse with its two neurons."""
        related = [int(synapse[name][0]) for name in RELATIONS.values()]
        ends = [
            bool(neuron).to_bytes(4, "little") + (neuron.to_bytes(8, "little") if neuron else b"")
            for neuron in related
        ]
        return b"".join([self._records(synapse).tobytes(), *ends])

    def _records(self, synapses: Columns) -> NDArray[np.void]:
        records = np.zeros(len(synapses[POINT[0]]), self.dtype)
        records["place"] = _places(synapses, self.lines)
        for prop in self.properties:
            records[f"p_{prop.id}"] = synapses[prop.column]
        return records


def _places(synapses: Columns, lines: bool) -> NDArray[np.float64]:
    """Return voxel centres, xyz. Lines have two ends; an unknown one is the synapse's position."""
    place = middles(synapses, POINT)
    if not lines:
        return place
    ends = [middles(synapses, names) for names in ENDS]
    return np.hstack([np.where(np.isnan(end).any(1, keepdims=True), place, end) for end in ends])


def middles(synapses: Columns, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the centres of the voxels of three columns (z, y, x); shape (n, 3): x, y, z."""
    result: NDArray[np.float64] = np.stack([synapses[name] for name in names[::-1]], axis=1) + 0.5
    return result


def _identifier(name: str, taken: Mapping[str, Any]) -> str:
    """Return an identifier for a column: letters, digits and ``_``, a lowercase letter first."""
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    plain = plain[:1].lower() + plain[1:]
    if not re.match("[a-z]", plain):
        plain = f"c{plain}"
    identifier, number = plain, 1
    while identifier in taken:
        number += 1
        identifier = f"{plain}_{number}"
    return identifier
