"""Documented base class of all databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.log import MemoryLog
from bfly.storage.files import Files
from bfly.tables import batches, sources_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from bfly.edits.log import EditLog
    from bfly.keywords import RUNTIME

__all__ = ["Database"]


class Database:
    """Mapping of channels to datasets, and the neurons and synapses of each dataset.

    Methods that must be overridden raise `NotImplementedError`. `bfly.databases.engine`
    overrides them for engines that store columns of numbers.

    Parameters
    ----------
    path : str
        File or address of the database; engines without one ignore it.
    _runtime : RUNTIME
        Limits and names for the database and for the `Core` built on it.

    Notes
    -----
    ``table`` is one of ``RUNTIME.DB.TABLE.LIST``. ``path`` is a dataset's path.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        self.path = path
        self.RUNTIME = _runtime

    def add_path(self, c_path: str, d_path: str) -> None:
        """Store a link from a channel's path to its dataset's path. Must be overridden.

        Parameters
        ----------
        c_path : str
            The path to a channel with images.
        d_path : str
            The path to the dataset with metadata files.
        """
        raise NotImplementedError

    def add_paths(self, paths: Mapping[str, str]) -> None:
        """Store many links as `add_path` does. An engine may store them in one batch.

        Parameters
        ----------
        paths : dict
            Maps the path of each channel to the path of its dataset.
        """
        for c_path, d_path in paths.items():
            self.add_path(c_path, d_path)

    def get_path(self, path: str) -> str:
        """Map a channel's path to its dataset's path. Must be overridden.

        Parameters
        ----------
        path : str
            The path to the given channel.

        Returns
        -------
        str
            The dataset's path; empty for a channel that was never added.
        """
        raise NotImplementedError

    def add_table(self, table: str, path: str) -> str | bool:
        """Add a table for a dataset. Must be overridden.

        Returns
        -------
        str or bool
            The base class returns the full name of the table. An engine returns whether the
            table exists now.
        """
        return self.RUNTIME.DB.JOIN.NAME.format(table, path)  # type: ignore[no-any-return]

    def get_table(self, table: str, path: str) -> Any:
        """Get the actual table of a dataset. Must be overridden.

        Returns
        -------
        str or object
            The base class returns the full name of the table. An engine returns its table.
        """
        return self.RUNTIME.DB.JOIN.NAME.format(table, path)

    def get_by_key(self, table: str, path: str, key: int) -> Any:
        """Get the entry with a key. Must be overridden.

        Returns
        -------
        object or dict
            The base class returns the result of `get_table`. An engine returns the entry,
            empty if the key does not exist.
        """
        return self.get_table(table, path)

    def add_entries(
        self, table: str, path: str, t_keys: Sequence[str], entries: ArrayLike
    ) -> list[dict[str, Any]]:
        """Add an array or a list of entries to a table. Must be overridden.

        Parameters
        ----------
        table, path : str
            The table.
        t_keys : sequence of str
            The key of each column of `entries`.
        entries : array_like
            One row per entry, N × ``len(t_keys)``.

        Returns
        -------
        list of dict
            The entries with their keys.
        """
        raise NotImplementedError

    def add_entry(
        self, table: str, path: str, entry: Mapping[str, Any], update: int = 1
    ) -> dict[str, Any]:
        """Add a single entry to a table. Must be overridden.

        Parameters
        ----------
        table, path : str
            The table.
        entry : dict
            The mapping of keys to values.
        update : int
            1 updates the entry with the same key, 0 replaces it.

        Returns
        -------
        dict
            The entry as stored now.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Save all changes to the database's file. Must be overridden."""
        raise NotImplementedError

    def edit_log(self) -> EditLog:
        """Return the log of the edits of label channels.

        Returns
        -------
        EditLog
            The base class returns a log in memory; persistent engines return a persistent log.
        """
        return MemoryLog()

    def add_tables(self, path: str) -> None:
        """Add all the tables of a dataset."""
        for table in self.RUNTIME.DB.TABLE.LIST:
            self.add_table(table, path)

    def add_synapses(self, path: str, synapses: ArrayLike) -> list[dict[str, Any]]:
        """Add synapses to a dataset. Their ids follow its highest synapse id.

        Parameters
        ----------
        path : str
            The dataset.
        synapses : array_like
            N × 5: pre, post, z, y, x.

        Returns
        -------
        list of dict
            One dictionary per row, with the keys of ``TABLE.SYNAPSE.FULL_LIST``.
        """
        words = self.RUNTIME.DB.TABLE.SYNAPSE
        rows = as_rows(synapses, 5)
        ids = np.arange(len(rows), dtype=np.uint64) + np.uint64(self._next_synapse(path))
        return self.add_entries(
            words.NAME, path, words.FULL_LIST, np.column_stack([ids, rows]).astype(np.uint64)
        )

    def _next_synapse(self, path: str) -> int:
        """Return the lowest id above all synapses of a dataset. The base class stores none."""
        return 0

    def add_neurons(self, path: str, neurons: ArrayLike) -> list[dict[str, Any]]:
        """Add neurons to a dataset.

        Parameters
        ----------
        path : str
            The dataset.
        neurons : array_like
            N × 4: id, z, y, x.

        Returns
        -------
        list of dict
            One dictionary per row, with the keys of ``TABLE.NEURON.FULL_LIST``.
        """
        words = self.RUNTIME.DB.TABLE.NEURON
        return self.add_entries(words.NAME, path, words.FULL_LIST, as_rows(neurons, 4))

    def load_synapses(self, path: str) -> NDArray[np.uint64]:
        """Load all the synapses of a dataset from the file of the documented name.

        Parameters
        ----------
        path : str
            The dataset's folder.

        Returns
        -------
        numpy.ndarray
            N × 5: pre, post, z, y, x; zero rows if the file does not exist.

        Raises
        ------
        SourceError
            The file cannot be read or has the wrong format.
        """
        words = self.RUNTIME.DB.TABLE
        names = [*words.SYNAPSE.NEURON_LIST, *words.ALL.POINT_LIST]
        return self._from_files(path, 0, names)

    def load_neurons(self, path: str, synapses: ArrayLike) -> NDArray[np.uint64]:
        """Load all neurons of a dataset: neurons with a soma, and neurons of its synapses.

        Parameters
        ----------
        path : str
            The dataset's folder.
        synapses : array_like
            N × 5: pre, post, z, y, x.

        Returns
        -------
        numpy.ndarray
            N × 4: id, z, y, x; a neuron without a soma has the position of the first synapse where
            it is postsynaptic, or else presynaptic.

        Raises
        ------
        SourceError
            The file cannot be read or has the wrong format.
        """
        somas = self._from_files(path, 1, self.RUNTIME.DB.TABLE.NEURON.FULL_LIST)
        rows = as_rows(synapses, 5)
        with_soma = set(somas[:, 0].tolist())
        first: dict[int, Any] = {}
        for pairs in (rows[:, [1, 2, 3, 4]], rows[:, [0, 2, 3, 4]]):
            for neuron, *point in pairs.tolist():
                if neuron not in with_soma:
                    first.setdefault(neuron, point)
        others = [[neuron, *point] for neuron, point in first.items()]
        return np.concatenate([somas, np.array(others, np.uint64).reshape(-1, 4)])

    def _from_files(self, path: str, which: int, names: Sequence[str]) -> NDArray[np.uint64]:
        files = Files(self.RUNTIME.FILES.ALLOWED.VALUE)
        source = sources_of({"path": path}, files)[which]
        rows = (
            np.column_stack([batch[name].astype(np.uint64) for name in names])
            for batch in (batches(source, files) if source else ())
        )
        return np.concatenate([np.empty((0, len(names)), np.uint64), *rows])

    def load_config(self, config: Mapping[str, Any]) -> Self:
        """Load all datasets of a configuration.

        Parameters
        ----------
        config : dict
            All of `UtilityLayer.rh_config.config`, or its ``bfly`` section.

        Returns
        -------
        Database
            This instance.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        level = [config.get(words.ROOT.NAME, config)]
        for group in words.GROUP_LIST[:-1]:
            level = [item for parent in level for item in parent.get(group) or []]
        for dataset in level:
            self.load_all(dataset)
        self.commit()
        return self

    def load_all(self, source: Mapping[str, Any]) -> None:
        """Load the tables, synapses and neurons of one dataset.

        Parameters
        ----------
        source : dict
            The dataset as configured: ``path``, optionally the files of its synapses and
            neurons, and ``channels``. Each channel has a ``path`` and optionally a ``dpath``,
            the folder with the channel's own metadata files.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        path = source[words.PATH.NAME]
        folders, paths = {path: source}, {}
        for channel in source.get(words.GROUP_LIST[-1]) or []:
            d_path = channel.get(words.DPATH.NAME) or path
            folders.setdefault(d_path, {words.PATH.NAME: d_path})
            paths[channel[words.PATH.NAME]] = d_path
        self.add_paths(paths)
        for d_path, dataset in folders.items():
            self.add_tables(d_path)
            self._load_files(d_path, dataset)

    def _load_files(self, path: str, dataset: Mapping[str, Any]) -> None:
        """Load the files of one folder. Engines load them in batches."""
        synapses = self.load_synapses(path)
        neurons = self.load_neurons(path, synapses)
        if len(synapses):
            self.add_synapses(path, synapses)
        if len(neurons):
            self.add_neurons(path, neurons)


def as_rows(values: ArrayLike, width: int) -> NDArray[np.uint64]:
    """Return rows as uint64 without loss; negative numbers as two's complement.

    Raises
    ------
    ValueError
        The shape is not N × `width`.
    """
    rows = np.asarray(values, None if isinstance(values, np.ndarray) else object)
    if rows.size == 0:
        return np.empty((0, width), np.uint64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"The rows have the shape {rows.shape}; allowed is (N, {width}).")
    if rows.dtype == object:
        return np.array([[int(v) & 0xFFFFFFFFFFFFFFFF for v in row] for row in rows], np.uint64)
    if rows.dtype.kind == "f":
        rows = rows.astype(np.int64)
    return rows.astype(np.uint64)
