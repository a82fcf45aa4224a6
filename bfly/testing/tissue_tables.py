"""Neurons and synapses of synthetic tissue, in the documented metadata files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.testing.anatomy import Anatomy, Contact

__all__ = ["TABLES", "write_tables"]

TABLES = SYNAPSES, NEURONS = "synapse-connections.json", "neuron-soma.json"
"""Files that `write_tables` writes; a server takes them as those of their folder."""

NEAR = 10
"""Voxels on each side of the place of a synapse in which the neurites have to touch."""


def write_tables(folder: str, anatomy: Anatomy, cells: NDArray[np.uint32]) -> None:
    """Write the neurons with a soma, and the synapses.

    A synapse is at a voxel of the presynaptic segment that has a face in common with the
    postsynaptic one.

    Parameters
    ----------
    folder : str
        Gets the files `TABLES`.
    anatomy : Anatomy
        Where neurons and synapses are.
    cells : numpy.ndarray
        The cell of each voxel (z, y, x).
    """
    ids = anatomy.segment_ids[np.unique(anatomy.neurites, return_index=True)[1]]
    neurons = []
    for nucleus in anatomy.nuclei:
        place = _nearest(_around(nucleus.centre, anatomy, cells), nucleus.neurite, nucleus.centre)
        if place is not None:
            neurons.append({"neuron_id": int(ids[nucleus.neurite]), **_named(place)})
    touching = ((one, _touch(one, anatomy, cells)) for one in anatomy.contacts)
    synapses = [(one, place) for one, place in touching if place is not None]
    columns = {
        "neuron_1": [int(ids[one.pre]) for one, _ in synapses],
        "neuron_2": [int(ids[one.post]) for one, _ in synapses],
        "synapse_center": {
            axis: [place[n] for _, place in synapses] for n, axis in enumerate("zyx")
        },
    }
    for name, value in ((SYNAPSES, columns), (NEURONS, neurons)):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            json.dump(value, file)


def _named(place: tuple[int, ...]) -> dict[str, int]:
    return dict(zip("zyx", place, strict=True))


def _around(
    place: NDArray[Any], anatomy: Anatomy, cells: NDArray[np.uint32]
) -> tuple[NDArray[np.intp], BoundingBox]:
    """Return the neurites around a place, and the box of these voxels."""
    middle = zyx(round(float(at)) - NEAR for at in place)
    box = BoundingBox.of_shape((2 * NEAR + 1,) * 3, middle) & BoundingBox.of_shape(anatomy.shape)
    return anatomy.neurites.take(cells[box.slices]), box


def _nearest(
    around: tuple[NDArray[Any], BoundingBox], wanted: int, place: NDArray[Any]
) -> tuple[int, ...] | None:
    """Return the voxel with a value that is nearest to a place; None if there is none."""
    values, box = around
    found = np.argwhere(values == wanted) + box.start
    if not len(found):
        return None
    return tuple(found[np.square(found - place).sum(axis=1).argmin()].tolist())


def _touch(contact: Contact, anatomy: Anatomy, cells: NDArray[np.uint32]) -> tuple[int, ...] | None:
    """Return the presynaptic voxel of a contact; None if the two do not touch there."""
    neurites, box = _around(contact.place, anatomy, cells)
    touches = np.zeros(neurites.shape, bool)
    for axis in range(3):
        sides, marks = np.moveaxis(neurites, axis, 0), np.moveaxis(touches, axis, 0)
        marks[:-1] |= (sides[:-1] == contact.pre) & (sides[1:] == contact.post)
        marks[1:] |= (sides[1:] == contact.pre) & (sides[:-1] == contact.post)
    return _nearest((touches, box), True, contact.place)
