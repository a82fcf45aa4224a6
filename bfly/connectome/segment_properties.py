"""Neurons of a dataset as Neuroglancer's segment properties.

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
    "degree_out": "Synapses where the neuron is presynaptic",
    "degree_in": "Synapses where the neuron is postsynaptic",
    **{f"soma_{axis}": "Soma in voxels; without one, a synapse" for axis in "xyz"},
}


def segment_properties(reader: Reader, path: str) -> str:
    """Return the properties of all neurons as JSON: degrees, soma and any further columns.

    Parameters
    ----------
    reader : Reader
        Source of the rows.
    path : str
        Path of the dataset.
    """
    rows = concatenated(NEURON, reader.scan(path, table=NEURON))
    ids = rows[KEYS[NEURON]]
    degree_out, degree_in = reader.degrees(path, ids)
    columns: dict[str, NDArray[Any]] = {"degree_out": degree_out, "degree_in": degree_in}
    columns |= {f"soma_{axis}": rows[axis] for axis in "xyz"}
    columns |= {name: rows[name] for name in rows if name not in (KEYS[NEURON], *POINT)}
    # Segment 0 is the background.
    is_neuron = ids != 0
    inline = {
        "ids": ids[is_neuron].astype(str).tolist(),
        "properties": [_property(name, column[is_neuron]) for name, column in columns.items()],
    }
    return json.dumps({"@type": "neuroglancer_segment_properties", "inline": inline})


def _property(name: str, column: NDArray[Any]) -> dict[str, Any]:
    """Return a column as numbers if JSON and Neuroglancer can hold them, else as text."""
    about = {"id": name, **({"description": DESCRIPTIONS[name]} if name in DESCRIPTIONS else {})}
    kind = number_type(column, ranges_of({name: column}).get(name, (0, 0)))
    if kind and (column.dtype.kind != "f" or np.isfinite(column).all()):
        return {**about, "type": "number", "data_type": kind, "values": column.tolist()}
    texts = ["" if value != value else str(value) for value in column.tolist()]
    return {**about, "type": "string", "values": texts}
