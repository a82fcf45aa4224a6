"""Neurons and other segments as Neuroglancer's segment properties.

The format: ``src/datasource/precomputed/segment_properties.rst`` in the Neuroglancer repository.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.connectome.annotation_format import number_type
from bfly.connectome.sized import MOST
from bfly.tables.columns import KEYS, POINT, among, concatenated, ranges_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.connectome.sized import Sized
    from bfly.databases.reader import Reader
    from bfly.tables.columns import Columns

__all__ = ["segment_properties", "size_properties"]

NEURON = "neuron"

DESCRIPTIONS = {
    "voxels": "Voxels of the segment",
    "volume_um3": "Volume of the segment in µm³",
    "degree_out": "Synapses where the neuron is presynaptic",
    "degree_in": "Synapses where the neuron is postsynaptic",
    **{f"soma_{axis}": "Soma in voxels; without one, a synapse or a voxel" for axis in "xyz"},
}


def segment_properties(reader: Reader, path: str, sized: Sized | None = None) -> str:
    """Return the properties of all neurons as JSON: sizes, degrees, soma and further columns.

    With sizes, those of the largest segments without a row are listed as well, unless rows have
    further numbers: Neuroglancer has no missing numbers.

    Parameters
    ----------
    reader : Reader
        Source of the rows.
    path : str
        Path of the dataset.
    sized : Sized, optional
        Source of the sizes.
    """
    rows = concatenated(NEURON, reader.scan(path, table=NEURON))
    # Segment 0 is the background.
    rows = {name: column[rows[KEYS[NEURON]] != 0] for name, column in rows.items()}
    further = [name for name in rows if name not in (KEYS[NEURON], *POINT)]
    if sized is not None and all(rows[name].dtype.kind == "O" for name in further):
        known = np.sort(rows[KEYS[NEURON]])
        others = sized.largest()
        others = others[~among(others, known)][: max(0, MOST - len(known))]
        rows = concatenated(NEURON, [rows, sized.places(others)])
    ids = rows[KEYS[NEURON]]
    wanted, place = np.unique(ids, return_inverse=True)
    degree_out, degree_in = (each[place] for each in reader.degrees(path, wanted))
    columns: Columns = {"degree_out": degree_out, "degree_in": degree_in}
    columns |= {f"soma_{axis}": rows[axis] for axis in "xyz"}
    columns |= sized.columns(ids) if sized is not None else {}
    return _text(ids, columns | {name: rows[name] for name in further})


def size_properties(sized: Sized) -> str:
    """Return the sizes of the largest segments as JSON, where a dataset has no neurons."""
    ids = sized.largest()
    return _text(ids, sized.columns(ids))


def _text(ids: NDArray[np.uint64], columns: Columns) -> str:
    inline = {
        "ids": ids.astype(str).tolist(),
        "properties": [_property(name, column) for name, column in columns.items()],
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
