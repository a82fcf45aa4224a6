"""Documented queries for neurons and synapses, answered from entries and columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.databases.reader import Reader
from bfly.geometry import BoundingBox, zyx
from bfly.tables.columns import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.keywords import RUNTIME

__all__ = ["Facts", "Features"]


class Facts(ABC):
    """Documented queries; each method takes the path of a channel or a dataset.

    Attributes
    ----------
    RUNTIME : RUNTIME
        Names of the columns and of the answers' keys.
    """

    RUNTIME: RUNTIME

    @property
    @abstractmethod
    def _features(self) -> Features:
        """The tables as columns."""

    def is_neuron(self, table: str, path: str, id: int) -> bool:  # noqa: A002 - documented name
        """Return whether a neuron id exists."""
        return bool(self._features.get_by_key(table, path, id))

    def is_synapse(self, table: str, path: str, id: int) -> bool:  # noqa: A002
        """Return whether a synapse id exists."""
        return bool(self._features.get_by_key(table, path, id))

    def neuron_keypoint(self, table: str, path: str, id: int, scales: int) -> dict[str, int]:  # noqa: A002
        """Return the position of a neuron.

        Parameters
        ----------
        table, path, id
            The neuron.
        scales : int
            Divisor of y and x: 2^resolution.

        Returns
        -------
        dict
            ``{"z", "y", "x"}`` in voxels of that resolution; empty if the id does not exist.
        """
        return self._keypoint(table, path, id, scales)

    def synapse_keypoint(self, table: str, path: str, id: int, scales: int) -> dict[str, int]:  # noqa: A002
        """Return the position of a synapse, as `neuron_keypoint` does."""
        return self._keypoint(table, path, id, scales)

    def _keypoint(self, table: str, path: str, key: int, scales: int) -> dict[str, int]:
        entry = self._features.get_by_key(table, path, key)
        if not entry:
            return {}
        scale = int(scales)
        return {"z": entry["z"], "y": entry["y"] // scale, "x": entry["x"] // scale}

    def synapse_parent(self, table: str, path: str, id: int) -> dict[str, int]:  # noqa: A002
        """Return the presynaptic and postsynaptic neuron of a synapse.

        Returns
        -------
        dict
            ``{"synapse_id", "synapse_parent_pre", "synapse_parent_post"}``; empty if
            the id does not exist.
        """
        links, (n1, n2) = self.RUNTIME.FEATURES.LINKS, self.RUNTIME.DB.TABLE.SYNAPSE.NEURON_LIST
        entry = self._features.get_by_key(table, path, id)
        if not entry:
            return {}
        return {links.ID.NAME: id, links.PRE.NAME: entry[n1], links.POST.NAME: entry[n2]}

    def synapse_ids(
        self, table: str, path: str, start: Iterable[int], stop: Iterable[int]
    ) -> list[int]:
        """Return the ids of the synapses in a box.

        Parameters
        ----------
        table, path : str
            The table.
        start, stop : array_like of int
            Corners of the box, zyx, in voxels of mip 0, start inclusive, stop exclusive.
        """
        reader = self._features
        ids: list[int] = reader.ids_in(reader.dataset(path), _box(start, stop)).tolist()
        return ids

    def neuron_children(
        self,
        table: str,
        path: str,
        id: int,  # noqa: A002
        start: Iterable[int],
        stop: Iterable[int],
    ) -> dict[int, int]:
        """Return the synapses of a neuron in a box.

        Parameters
        ----------
        table, path, id
            The neuron; `table` is the table of synapses.
        start, stop : array_like of int
            The box, as for `synapse_ids`.

        Returns
        -------
        dict
            Maps synapse id to 1 if the neuron is presynaptic, 2 if postsynaptic, 3 if both.
        """
        if not 0 <= id < 2**64:
            return {}
        words, reader = self.RUNTIME.DB.TABLE.SYNAPSE, self._features
        synapses = reader.synapses_of(reader.dataset(path), id, _box(start, stop))
        pre, post = (synapses[name] == np.uint64(id) for name in words.NEURON_LIST)
        sides = pre.astype(int) + 2 * post
        return dict(zip(synapses[words.KEY.NAME].tolist(), sides.tolist(), strict=True))

    def all_neurons(self, table: str, path: str) -> list[int]:
        """Return the ids of all neurons."""
        reader = self._features
        ids: list[int] = reader.ids(table, reader.dataset(path)).tolist()
        return ids


class Features(Reader, Facts):
    """Queries on a `Reader`."""

    @property
    @override
    def _features(self) -> Features:
        return self

    def get_by_key(self, table: str, path: str, key: int) -> dict[str, Any]:
        """Return the row with a key as a dictionary, empty if the key does not exist."""
        if not 0 <= key < 2**64:
            return {}
        row = self.rows(table, self.dataset(path), np.array([key], np.uint64))
        return next(iter(entries_of(row)), {})


def _box(start: Iterable[int], stop: Iterable[int]) -> BoundingBox:
    return BoundingBox(zyx(start), zyx(stop))
