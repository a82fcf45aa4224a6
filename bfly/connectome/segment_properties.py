"""What is known of the neurons of a dataset, as Neuroglancer's properties of segments.

The format: ``src/datasource/precomputed/segment_properties.rst`` in the Neuroglancer repository.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.connectome.annotation_format import number_type
from bfly.tables.columns import KEYS, POINT, concatenated, ranges_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.databases.reader import Reader

__all__ = ["segment_properties"]

NEURON = "neuron"

DESCRIPTIONS = {
    "degree_out": "Synapses that the neuron is before",
    "degree_in": "Synapses that the neuron is after",
    **{f"soma_{axis}": "Place of the soma in voxels, else of a synapse" for axis in "xyz"},
}


def segment_properties(reader: Reader, path: str) -> str:
    """Write the properties of all neurons of a dataset as JSON text: degrees, place, and the rest.

    Parameters
    ----------
    reader : Reader
        Where they are kept.
    path : str
        The dataset.
    """
    rows = concatenated(NEURON, reader.scan(path, table=NEURON))
    ids = rows[KEYS[NEURON]]
    degree_out, degree_in = reader.degrees(path, ids)
    columns: dict[str, NDArray[Any]] = {"degree_out": degree_out, "degree_in": degree_in}
    columns |= {f"soma_{axis}": rows[axis] for axis in "xyz"}
    columns |= {name: rows[name] for name in rows if name not in (KEYS[NEURON], *POINT)}
    # Segment 0 is what belongs to no neuron.
    known = ids != 0
    inline = {
        "ids": ids[known].astype(str).tolist(),
        "properties": [_property(name, column[known]) for name, column in columns.items()],
    }
    return json.dumps({"@type": "neuroglancer_segment_properties", "inline": inline})


def _property(name: str, column: NDArray[Any]) -> dict[str, Any]:
    """Give a column as numbers, as far as JSON and Neuroglancer have such, or as text."""
    said = {"id": name, **({"description": DESCRIPTIONS[name]} if name in DESCRIPTIONS else {})}
    kind = number_type(column, ranges_of({name: column}).get(name, (0, 0)))
    if kind and (column.dtype.kind != "f" or np.isfinite(column).all()):
        return {**said, "type": "number", "data_type": kind, "values": column.tolist()}
    texts = ["" if value != value else str(value) for value in column.tolist()]
    return {**said, "type": "string", "values": texts}
