"""The base of the engines: entries, features and the loading of files, on columns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from typing_extensions import override

from bfly.databases.columns import entries_of, typed
from bfly.databases.database import as_rows
from bfly.databases.store import Store
from bfly.errors import NotAllowed
from bfly.files import Files
from bfly.geometry import BoundingBox, zyx
from bfly.tables import batches, fingerprint, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Ids = NDArray[np.uint64]

__all__ = ["Engine"]

log = logging.getLogger(__name__)


class Engine(Store):
    """Base of the engines; the arguments are those of `Database`.

    The documented calls take the path of a channel or of a dataset.
    """

    def dataset(self, path: str) -> str:
        """Give the dataset of a channel's path; a dataset's path stands for itself."""
        return self.get_path(path) or path

    def _key(self, table: str) -> str:
        return str(getattr(self.RUNTIME.DB.TABLE, table.upper()).KEY.NAME)

    @override
    def _load_files(self, path: str, dataset: Mapping[str, Any]) -> None:
        """Load the files of one folder, unless they are those that were loaded last."""
        files = Files(self.RUNTIME.FILES.ALLOWED.VALUE)
        try:
            synapses, neurons = sources_of(dataset, files)
            state = fingerprint([synapses, neurons], files)
        except NotAllowed as error:
            log.warning("The synapses and neurons of %s are not loaded: %s", path, error)
            return
        if synapses is None and neurons is None:
            return
        if state == self.fingerprint(path) and not self.RUNTIME.DB.UPDATE.VALUE:
            log.info("The synapses and neurons of %s are loaded already", path)
            return
        with Progress(console=Console(stderr=True), transient=True) as progress:
            read = progress.add_task(f"Reading the synapses of {path}", total=1)
            sort = progress.add_task("Sorting them", total=1, visible=False)
            self.replace(
                path,
                state,
                batches(neurons, files) if neurons else (),
                batches(synapses, files, lambda done: progress.update(read, completed=done))
                if synapses
                else (),
                lambda done: progress.update(sort, completed=done, visible=True),
            )
        counts = [self.count(table, path) for table in self.RUNTIME.DB.TABLE.LIST]
        log.info("Loaded {:,} neurons and {:,} synapses of {}".format(*counts, path))

    @override
    def add_synapses(self, path: str, synapses: ArrayLike) -> list[dict[str, Any]]:
        words = self.RUNTIME.DB.TABLE
        keys = [*words.SYNAPSE.NEURON_LIST, *words.ALL.POINT_LIST]
        return self.add_entries(words.SYNAPSE.NAME, path, keys, as_rows(synapses, len(keys)))

    @override
    def add_entries(
        self, table: str, path: str, t_keys: Sequence[str], entries: ArrayLike
    ) -> list[dict[str, Any]]:
        values = entries if isinstance(entries, np.ndarray) else np.array(entries, object)
        values = values.reshape(-1, len(t_keys)) if values.size else values.reshape(0, len(t_keys))
        columns = typed(table, {key: values[:, i] for i, key in enumerate(t_keys)})
        if self._key(table) in columns:
            self.upsert(table, self.dataset(path), columns)
        else:
            columns = self.append(table, self.dataset(path), columns)
        return entries_of(columns)

    @override
    def add_entry(
        self, table: str, path: str, entry: Mapping[str, Any], update: int = 1
    ) -> dict[str, Any]:
        row = {key: np.array([value], object) for key, value in entry.items()}
        if update and self._key(table) in row:
            return entries_of(self.amend(table, self.dataset(path), row))[0]
        return self.add_entries(table, path, list(row), np.column_stack(list(row.values())))[0]

    @override
    def get_by_key(self, table: str, path: str, key: int) -> dict[str, Any]:
        if not 0 <= key < 2**64:
            return {}
        found = self.rows(table, self.dataset(path), np.array([key], np.uint64))
        return next(iter(entries_of(found)), {})

    def is_neuron(self, table: str, path: str, id: int) -> bool:  # noqa: A002 - documented name
        """Tell whether there is a neuron with an id."""
        return bool(self.get_by_key(table, path, id))

    def is_synapse(self, table: str, path: str, id: int) -> bool:  # noqa: A002
        """Tell whether there is a synapse with an id."""
        return bool(self.get_by_key(table, path, id))

    def neuron_keypoint(self, table: str, path: str, id: int, scales: int) -> dict[str, int]:  # noqa: A002
        """Give the place of a neuron.

        Parameters
        ----------
        table, path, id
            Which neuron.
        scales : int
            2^resolution, by which y and x are divided.

        Returns
        -------
        dict
            ``{"z", "y", "x"}`` in voxels of that resolution; empty if there is no such id.
        """
        return self._keypoint(table, path, id, scales)

    def synapse_keypoint(self, table: str, path: str, id: int, scales: int) -> dict[str, int]:  # noqa: A002
        """Give the place of a synapse; as `neuron_keypoint`."""
        return self._keypoint(table, path, id, scales)

    def _keypoint(self, table: str, path: str, key: int, scales: int) -> dict[str, int]:
        entry = self.get_by_key(table, path, key)
        if not entry:
            return {}
        scale = int(scales)
        return {"z": entry["z"], "y": entry["y"] // scale, "x": entry["x"] // scale}

    def synapse_parent(self, table: str, path: str, id: int) -> dict[str, int]:  # noqa: A002
        """Give the neurons of a synapse.

        Returns
        -------
        dict
            ``{"synapse_id", "synapse_parent_pre", "synapse_parent_post"}``; empty if there is
            no such id.
        """
        links, (n1, n2) = self.RUNTIME.FEATURES.LINKS, self.RUNTIME.DB.TABLE.SYNAPSE.NEURON_LIST
        entry = self.get_by_key(table, path, id)
        if not entry:
            return {}
        return {links.ID.NAME: id, links.PRE.NAME: entry[n1], links.POST.NAME: entry[n2]}

    def synapse_ids(
        self, table: str, path: str, start: Iterable[int], stop: Iterable[int]
    ) -> list[int]:
        """Give the ids of the synapses in a box.

        Parameters
        ----------
        table, path : str
            Which table.
        start, stop : array_like of int
            The box zyx in voxels of mip 0, start inclusive, stop exclusive.
        """
        ids: list[int] = self.ids_in(self.dataset(path), _box(start, stop)).tolist()
        return ids

    def neuron_children(
        self,
        table: str,
        path: str,
        id: int,  # noqa: A002
        start: Iterable[int],
        stop: Iterable[int],
    ) -> dict[int, int]:
        """Give the synapses of a neuron in a box.

        Parameters
        ----------
        table, path, id
            Which neuron; the table of synapses.
        start, stop : array_like of int
            The box, as for `synapse_ids`.

        Returns
        -------
        dict
            From a synapse's id to 1 where the neuron is before it, 2 where after, 3 if both.
        """
        if not 0 <= id < 2**64:
            return {}
        words = self.RUNTIME.DB.TABLE.SYNAPSE
        found = self.synapses_of(self.dataset(path), id, _box(start, stop))
        pre, post = (found[name] == np.uint64(id) for name in words.NEURON_LIST)
        sides = pre.astype(int) + 2 * post
        return dict(zip(found[words.KEY.NAME].tolist(), sides.tolist(), strict=True))

    def all_neurons(self, table: str, path: str) -> list[int]:
        """Give the ids of all neurons."""
        ids: list[int] = self.ids(table, self.dataset(path)).tolist()
        return ids


def _box(start: Iterable[int], stop: Iterable[int]) -> BoundingBox:
    return BoundingBox(zyx(start), zyx(stop))
