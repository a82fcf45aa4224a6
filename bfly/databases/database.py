"""Documented base class of all databases."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.annotations.memory import MemoryAnnotations
from bfly.databases.entries import as_rows
from bfly.databases.entry_tables import EntryTables
from bfly.databases.features import Facts
from bfly.edits.log import MemoryLog
from bfly.errors import NotAllowed
from bfly.storage.files import Files
from bfly.tables import batches, named_in, sources_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from bfly.annotations.store import AnnotationStore
    from bfly.databases.features import Features
    from bfly.edits.log import EditLog
    from bfly.keywords import RUNTIME

__all__ = ["Database"]

log = logging.getLogger(__name__)


class Database(Facts):
    """Mapping of channels to datasets, and the neurons and synapses of each dataset.

    A derived class overrides the methods that must be overridden, each of which may call that of
    the base first. All else is built on them: files are loaded through `add_entries`, and queries
    are answered from `get_by_key` and `get_all`. `bfly.databases.engine` overrides more, for
    engines that store columns of numbers.

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
        self._loaded_from: dict[str, Mapping[str, Any]] = {}

    def add_path(self, c_path: str, d_path: str) -> None:
        """Store a link from a channel's path to its dataset's path. Must be overridden.

        Parameters
        ----------
        c_path : str
            The path to a channel with images.
        d_path : str
            The path to the dataset with metadata files.
        """

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
            The dataset's path; for a channel that was never added, `path` itself.
        """
        return path

    def _table_name(self, table: str, path: str) -> str:
        """Return the full name of a table: ``table://path``, with the path of the dataset."""
        name: str = self.RUNTIME.DB.JOIN.NAME.format(table, self.get_path(path))
        return name

    def add_table(self, table: str, path: str) -> str | bool:
        """Add a table for a dataset. Must be overridden.

        Returns
        -------
        str or bool
            The base class returns the full name of the table. An engine returns whether the
            table exists now.
        """
        return self._table_name(table, path)

    def get_table(self, table: str, path: str) -> Any:
        """Get the actual table of a dataset. Must be overridden.

        Returns
        -------
        str or object
            The base class returns the full name of the table. A derived class returns its table.
        """
        return self._table_name(table, path)

    def get_all(self, table: str, path: str) -> Any:
        """Get all entries of a table; override this if `get_table` gives another object.

        Returns
        -------
        object
            A mapping from ids to entries, or an iterable of entries. An entry is a mapping, or a
            row with the columns of ``FULL_LIST``. None or a text means that there is no table.
        """
        return self.get_table(table, path)

    @property
    @override
    def _features(self) -> Features:
        return EntryTables(self)

    def get_by_key(self, table: str, path: str, key: int) -> Any:
        """Get the entry with a key. Must be overridden.

        Returns
        -------
        object or dict
            The base class returns the result of `get_table`. A derived class returns the entry,
            empty if the key does not exist.
        """
        return self.get_table(table, path)

    def add_entries(self, table: str, path: str, t_keys: Sequence[str], entries: ArrayLike) -> Any:
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
        str or list of dict
            The base class returns the full name of the table. A derived class returns the entries
            with their keys.
        """
        return self._table_name(table, path)

    def add_entry(self, table: str, path: str, entry: Mapping[str, Any], update: int = 1) -> Any:
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
        str or dict
            The base class returns the full name of the table. A derived class returns the entry
            as stored now.
        """
        return self._table_name(table, path)

    def commit(self) -> None:
        """Save all changes to the database's file. Must be overridden."""

    def edit_log(self) -> EditLog:
        """Return the log of the edits of label channels.

        Returns
        -------
        EditLog
            The base class returns a log in memory; persistent engines return a persistent log.
        """
        return MemoryLog()

    def annotation_store(self) -> AnnotationStore:
        """Return the store of the annotations that people make.

        Returns
        -------
        AnnotationStore
            The base class returns a store in memory; persistent engines return a persistent one.
        """
        return MemoryAnnotations()

    def add_tables(self, path: str) -> Self:
        """Add all the tables of a dataset; return this instance."""
        for table in self.RUNTIME.DB.TABLE.LIST:
            self.add_table(table, path)
        return self

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
        reader = self._features
        known = reader.ids(self.RUNTIME.DB.TABLE.SYNAPSE.NAME, reader.dataset(path))
        return self._add_synapses(path, synapses, int(known[-1]) + 1 if len(known) else 0)

    def _add_synapses(self, path: str, synapses: ArrayLike, first: int) -> list[dict[str, Any]]:
        """Add synapses whose ids count from `first`."""
        words = self.RUNTIME.DB.TABLE.SYNAPSE
        rows = as_rows(synapses, 5)
        ids = np.arange(len(rows), dtype=np.uint64) + np.uint64(first)
        entries: list[dict[str, Any]] = self.add_entries(
            words.NAME, path, words.FULL_LIST, np.column_stack([ids, rows]).astype(np.uint64)
        )
        return entries

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
        words, rows = self.RUNTIME.DB.TABLE.NEURON, as_rows(neurons, 4)
        entries: list[dict[str, Any]] = self.add_entries(words.NAME, path, words.FULL_LIST, rows)
        return entries

    def load_synapses(self, path: str) -> NDArray[np.uint64]:
        """Load all the synapses of a dataset from its file, and add them.

        The file is the one that the configuration of the dataset names, or else has the
        documented name. The id of a synapse is its row.

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
        synapses = self._from_files(path, 0, names)
        if len(synapses):
            self._add_synapses(path, synapses, 0)
        return synapses

    def load_neurons(self, path: str, synapses: ArrayLike) -> NDArray[np.uint64]:
        """Load all neurons of a dataset, with a soma or of its synapses, and add them.

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
        neurons = np.concatenate([somas, np.array(others, np.uint64).reshape(-1, 4)])
        if len(neurons):
            self.add_neurons(path, neurons)
        return neurons

    def _from_files(self, path: str, which: int, names: Sequence[str]) -> NDArray[np.uint64]:
        files = Files(self.RUNTIME.FILES.ALLOWED.VALUE)
        source = sources_of(self._loaded_from.get(path) or {"path": path}, files)[which]
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
            the folder with the channel's own metadata files. What has no path is left out, and
            so are files outside the allowed folders, with a warning.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        path = source.get(words.PATH.NAME) or ""
        folders, paths = {path: source}, {}
        for channel in source.get(words.GROUP_LIST[-1]) or []:
            d_path = channel.get(words.DPATH.NAME) or path
            folders.setdefault(d_path, {words.PATH.NAME: d_path, **named_in(d_path, source)})
            paths[channel.get(words.PATH.NAME) or ""] = d_path
        self.add_paths({channel: d_path for channel, d_path in paths.items() if channel and d_path})
        for d_path, dataset in folders.items():
            if d_path:
                self._loaded_from[d_path] = dataset
                self.add_tables(d_path)
                try:
                    self._load_files(d_path, dataset)
                except NotAllowed as error:
                    text = "The synapses and neurons of %s are not loaded: %s"
                    log.warning(text, d_path, error)

    def _load_files(self, path: str, dataset: Mapping[str, Any]) -> None:
        """Load the files of one folder. Engines load them in batches."""
        self.load_neurons(path, self.load_synapses(path))
