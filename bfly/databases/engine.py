"""Base class of the engines: entries and file loading on top of columns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from typing_extensions import override

from bfly.databases.entries import as_rows
from bfly.databases.features import Features
from bfly.databases.store import PackStore
from bfly.errors import SourceError
from bfly.storage.files import Files
from bfly.tables import batches, fingerprint, sources_of
from bfly.tables.columns import entries_of, typed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike

    from bfly.keywords import RUNTIME
    from bfly.tables import TableSource

__all__ = ["Engine"]

log = logging.getLogger(__name__)


class Engine(Features, PackStore):
    """Base class of the engines; same parameters as `Database`.

    The documented methods take the path of a channel or of a dataset.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._unread: dict[str, str] = {}

    @override
    def dataset(self, path: str) -> str:
        """Return the dataset of a path.

        Raises
        ------
        SourceError
            Its files could not be read when they were loaded last: its rows are not theirs.
        """
        path = self.get_path(path)
        if path in self._unread:
            raise SourceError(self._unread[path])
        return path

    @override
    def add_tables(self, path: str) -> Self:
        self._unread.pop(path, None)
        return super().add_tables(path)

    def _key(self, table: str) -> str:
        return str(getattr(self.RUNTIME.DB.TABLE, table.upper()).KEY.NAME)

    @override
    def _load_files(self, path: str, dataset: Mapping[str, Any]) -> None:
        """Load the files of one folder, unless their fingerprint is the one last loaded.

        Files that cannot be read are errors in the log and in answers about them, no more.
        """
        files = Files(self.RUNTIME.FILES.ALLOWED.VALUE)
        synapses, neurons = sources_of(dataset, files)
        state = fingerprint([synapses, neurons], files)
        if synapses is None and neurons is None:
            return
        if state == self.fingerprint(path) and not self.RUNTIME.DB.UPDATE.VALUE:
            log.info("The synapses and neurons of %s are already loaded", path)
            return
        try:
            self._replace(path, state, synapses, neurons, files)
        except SourceError as error:
            self._unread[path] = str(error)
            log.error("The synapses and neurons of %s are not loaded: %s", path, error)
            return
        counts = [self.count(table, path) for table in self.RUNTIME.DB.TABLE.LIST]
        log.info("Loaded {:,} neurons and {:,} synapses of {}".format(*counts, path))

    def _replace(
        self,
        path: str,
        state: str,
        synapses: TableSource | None,
        neurons: TableSource | None,
        files: Files,
    ) -> None:
        """Replace the tables of a dataset by the rows of files, and show the progress."""
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
