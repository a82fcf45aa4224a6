"""The base of all databases, as documented."""

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
    """Knows which dataset a channel belongs to, and the dataset's neurons and synapses.

    What has to be overridden says so by `NotImplementedError`; `bfly.databases.engine` does
    that for engines that keep columns of numbers.

    Parameters
    ----------
    path : str
        The database's file or address; an engine without one takes no notice.
    _runtime : RUNTIME
        The limits and words in use, for the database and for the `Core` built on it.

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
        """Store many links as `add_path` does; an engine may do it faster than one by one.

        Parameters
        ----------
        paths : dict
            From the path to a channel to that of its dataset.
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
            Here the name that combines `table` and `path`; of an engine, whether there is
            such a table now.
        """
        return self.RUNTIME.DB.JOIN.NAME.format(table, path)  # type: ignore[no-any-return]

    def get_table(self, table: str, path: str) -> Any:
        """Get the actual table of a dataset. Must be overridden.

        Returns
        -------
        str or object
            Here the table's full name; of an engine, what it keeps as the table.
        """
        return self.RUNTIME.DB.JOIN.NAME.format(table, path)

    def get_by_key(self, table: str, path: str, key: int) -> Any:
        """Get the entry with a key. Must be overridden.

        Returns
        -------
        object or dict
            Here what `get_table` gives; of an engine, the entry, empty if there is none.
        """
        return self.get_table(table, path)

    def add_entries(
        self, table: str, path: str, t_keys: Sequence[str], entries: ArrayLike
    ) -> list[dict[str, Any]]:
        """Add an array or a list of entries to a table. Must be overridden.

        Parameters
        ----------
        table, path : str
            Which table.
        t_keys : sequence of str
            The keys of the values of an entry, in their order.
        entries : array_like
            A row of values for each entry, N × ``len(t_keys)``.

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
            Which table.
        entry : dict
            The mapping of keys to values.
        update : int
            1 to update an old entry with the same key, 0 to write a new entry whatever the
            old one held.

        Returns
        -------
        dict
            The entry as it stands now.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Save all changes to the database's file. Must be overridden."""
        raise NotImplementedError

    def edit_log(self) -> EditLog:
        """Give the log of the edits of label channels.

        Returns
        -------
        EditLog
            Here one in memory, which is forgotten; of an engine that lasts, one that lasts.
        """
        return MemoryLog()

    def add_tables(self, path: str) -> None:
        """Add all the tables of a dataset."""
        for table in self.RUNTIME.DB.TABLE.LIST:
            self.add_table(table, path)

    def add_synapses(self, path: str, synapses: ArrayLike) -> list[dict[str, Any]]:
        """Add synapses to a dataset; their ids follow the highest that is there.

        Parameters
        ----------
        path : str
            The dataset.
        synapses : array_like
            N × 5: pre, post, z, y, x.

        Returns
        -------
        list of dict
            A dictionary for each row, with the keys of ``TABLE.SYNAPSE.FULL_LIST``.
        """
        words = self.RUNTIME.DB.TABLE.SYNAPSE
        rows = as_rows(synapses, 5)
        ids = np.arange(len(rows), dtype=np.uint64) + np.uint64(self._next_synapse(path))
        return self.add_entries(
            words.NAME, path, words.FULL_LIST, np.column_stack([ids, rows]).astype(np.uint64)
        )

    def _next_synapse(self, path: str) -> int:
        """Give the lowest id above all synapses of a dataset; an engine knows better."""
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
            A dictionary for each row, with the keys of ``TABLE.NEURON.FULL_LIST``.
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
            N × 5: pre, post, z, y, x; no rows where there is no file.

        Raises
        ------
        SourceError
            The file cannot be read or is not what it should be.
        """
        words = self.RUNTIME.DB.TABLE
        names = [*words.SYNAPSE.NEURON_LIST, *words.ALL.POINT_LIST]
        return self._from_files(path, 0, names)

    def load_neurons(self, path: str, synapses: ArrayLike) -> NDArray[np.uint64]:
        """Load all the neurons of a dataset: those with a soma, and those of its synapses.

        Parameters
        ----------
        path : str
            The dataset's folder.
        synapses : array_like
            N × 5: pre, post, z, y, x.

        Returns
        -------
        numpy.ndarray
            N × 4: id, z, y, x; a neuron without a soma has the place of its first synapse.

        Raises
        ------
        SourceError
            The file cannot be read or is not what it should be.
        """
        somas = self._from_files(path, 1, self.RUNTIME.DB.TABLE.NEURON.FULL_LIST)
        rows = as_rows(synapses, 5)
        known = set(somas[:, 0].tolist())
        first: dict[int, Any] = {}
        for pre, post, *point in rows.tolist():
            for neuron in (pre, post):
                if neuron not in known:
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
        """Load everything that a configuration names.

        Parameters
        ----------
        config : dict
            All data of `UtilityLayer.rh_config.config`, or what stands there under ``bfly``.

        Returns
        -------
        Database
            This instance.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        level = [config.get(words.NAME, config)]
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
            The dataset as configured: its ``path``, the files of its synapses and neurons
            where they are named, and its ``channels``, each with a ``path`` and perhaps a
            ``dpath``, the folder with the channel's own metadata files.
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
        """Load the files of one folder; an engine does it without holding them whole."""
        synapses = self.load_synapses(path)
        neurons = self.load_neurons(path, synapses)
        if len(synapses):
            self.add_synapses(path, synapses)
        if len(neurons):
            self.add_neurons(path, neurons)


def as_rows(values: ArrayLike, width: int) -> NDArray[np.uint64]:
    """Give rows of numbers without loss, negative ones as their two's complement.

    Raises
    ------
    ValueError
        They are not N × `width`.
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
