"""Answers about neurons and synapses, from the database: single facts and streamed rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.concurrency.workers import BriefLock
from bfly.connectome.edited_tables import Merged
from bfly.databases.engine import Engine
from bfly.databases.entry_tables import EntryTables
from bfly.errors import Absent, BadRequest, SourceError
from bfly.tables.columns import KEYS
from bfly.tables.writing import write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from bfly.databases.database import Database
    from bfly.databases.features import Facts, Features
    from bfly.databases.reader import Counts, Ids
    from bfly.edits.edits import Edits
    from bfly.queries.feature import FeatureQuery, RowsQuery
    from bfly.queries.info import InfoQuery
    from bfly.storage.cache import Cache
    from bfly.tables.columns import Columns

__all__ = ["Connectome"]

NEURON, SYNAPSE = "neuron", "synapse"

LOOK_UP = 5_000
"""Synapses that are read in one pass in the time that it takes to look up one neuron."""

SOME = 100
"""Rows of a matrix that are counted in one batch: bounds its memory."""


class Connectome:
    """Answers to requests about neurons and synapses.

    Parameters
    ----------
    db : Database
        Database of the rows.
    edits : Edits
        Edits of the supervoxels whose ids the rows have.
    cache : Cache
        Cache of the counts, which are slow to compute for millions of rows.
    """

    def __init__(self, db: Database, edits: Edits, cache: Cache) -> None:
        self._db = db
        self._edits = edits
        self._cache = cache
        self._turns = BriefLock()

    def turn(self) -> AbstractContextManager[None]:
        """Return a context manager that runs short queries in turn, if the engine is local."""
        waits = isinstance(self._db, Engine) and self._db.waits
        return nullcontext() if waits else self._turns.turn()

    def counts(self, query: InfoQuery) -> dict[str, int]:
        """Count the neurons and synapses of a dataset; 0 for a table without readable rows.

        If several channels have edits, the neurons are counted without edits.
        """
        edited, engine = self._edited_channels(query), self._tables()
        if len(edited) == 1:
            engine = self._merged(engine, edited[0], query)
        try:
            path = engine.dataset(query.path)
        except SourceError:
            return {"neurons": 0, "synapses": 0}
        key = f"counts:{path}:{engine.state(path)}"
        counts: dict[str, int] = self._cache.get(key)
        if not counts:
            tables = {"neurons": NEURON, "synapses": SYNAPSE}
            counts = {name: engine.count(table, path) for name, table in tables.items()}
            self._cache.set(key, counts)
        return counts

    def _tables(self) -> Features:
        """Return the tables of the database as they are: an engine has them as columns."""
        return self._db if isinstance(self._db, Engine) else EntryTables(self._db)

    def edited(self, query: InfoQuery) -> Features:
        """Return the tables with the requested edits applied, and set the query's state.

        Raises
        ------
        BadRequest
            Several channels have edits, and the query names none.
        """
        edited = self._edited_channels(query)
        if len(edited) > 1:
            raise BadRequest(
                f"The channels of {edited} have edits: name one as channel, or ask with "
                "labels=supervoxels."
            )
        tables = self._tables()
        return self._merged(tables, edited[0], query) if edited else tables

    def _edited_channels(self, query: InfoQuery) -> list[str]:
        """Return the paths of the channels that have edits; none for supervoxels."""
        if query.labels == "supervoxels":
            return []
        return [path for path in query.labelled if self._edits.channel(path).state.position]

    def _merged(self, engine: Features, channel: str, query: InfoQuery) -> Merged:
        state = self._edits.channel(channel).state
        query.state = state.patched if query.labels == "patched" else state
        return Merged(engine, channel, query.state)

    def feature(self, query: FeatureQuery) -> Any:
        """Look up one fact (see `Features` for each).

        Returns
        -------
        bool, dict or list
            False or empty if no neuron or synapse has the id, also if the dataset has none at all.

        Raises
        ------
        Absent
            The database has no tables.
        """
        engine = self.edited(query)
        ask = _feature_of(engine if isinstance(engine, Merged) else self._db, query.feature)
        arguments: list[Any] = [query.table, query.path]
        if query.id is not None:
            arguments.append(query.id)
        if query.box is not None and query.feature in ("synapse_ids", "neuron_children"):
            arguments += [query.box.start, query.box.stop]
        if query.feature.endswith("keypoint"):
            arguments.append(2**query.resolution)
        return ask(*arguments)

    def degrees(self, query: InfoQuery, neurons: Ids) -> tuple[Counts, Counts] | None:
        """Count the synapses where each neuron is presynaptic, and where postsynaptic.

        Parameters
        ----------
        query : InfoQuery
            Names the dataset.
        neurons : numpy.ndarray
            uint64, in any order.

        Returns
        -------
        tuple of numpy.ndarray or None
            int64, one number for each neuron; None if the dataset has no synapses.
        """
        engine = self.edited(query)
        try:
            path = engine.dataset(query.path)
        except SourceError:
            return None
        if not engine.has_rows(SYNAPSE, path):
            return None
        wanted, place = np.unique(neurons, return_inverse=True)
        if engine.count(SYNAPSE, path) <= LOOK_UP * len(wanted):
            out, into = engine.degrees(path, wanted)
        else:
            sides = [list(map(len, engine.partners(path, one))) for one in wanted.tolist()]
            out, into = np.array(sides, np.int64).reshape(-1, 2).T
        return out[place], into[place]

    def named(self, query: InfoQuery, text: str) -> NDArray[np.uint64]:
        """Return the neurons of a dataset that have a text in a further column of their row.

        Upper and lower case are the same. None if the dataset has no neurons; for the errors see
        `edited`.
        """
        none = np.empty(0, np.uint64)
        engine = self.edited(query)
        try:
            path = engine.dataset(query.path)
        except SourceError:
            return none
        columns = engine.rows(NEURON, path, none)
        texts = [name for name, column in columns.items() if column.dtype.kind == "O"]
        found, wanted = [none], text.casefold()
        for batch in engine.scan(path, table=NEURON) if texts else ():
            hit = np.zeros(len(batch[KEYS[NEURON]]), bool)
            for name in set(texts) & set(batch):
                hit |= [wanted in str(value).casefold() for value in batch[name].tolist()]
            found.append(batch[KEYS[NEURON]][hit])
        return np.concatenate(found)

    def check_some(self, engine: Features, table: str, path: str) -> None:
        """Raise `Absent` if the dataset of a path has no rows of a table."""
        if not engine.has_rows(table, engine.dataset(path)):
            raise _nothing(path, table)

    def _check_neuron(self, engine: Features, path: str, number: int) -> None:
        """Raise `Absent` if a neuron has neither a row nor synapses.

        Added synapses may be those of a neuron without a row.
        """
        if not engine.is_neuron(NEURON, path, number):
            batches = engine.scan(engine.dataset(path), neuron=number)
            if not any(len(batch["n1"]) for batch in batches):
                raise Absent(f"There is no neuron {number}.")

    def rows(
        self, query: RowsQuery, more: Callable[[Columns], Columns] | None = None
    ) -> Iterator[bytes]:
        """Return an iterator of the bytes of rows, written as they are read.

        Parameters
        ----------
        query : RowsQuery
            The request.
        more : callable, optional
            Adds columns to a batch of rows.

        Raises
        ------
        Absent
            No neuron has a requested id, or the dataset has no rows at all.
        """
        table = NEURON if query.rows == "neurons" else SYNAPSE
        engine = self.edited(query)
        self.check_some(engine, table, query.path)
        path = engine.dataset(query.path)
        for number in (query.neuron, query.pre, query.post, query.id, *query.wanted):
            if number is not None:
                self._check_neuron(engine, path, number)
        rows = {
            "neurons": self._neurons,
            "synapses": self._synapses,
            "partners": self._partners,
            "connectivity": self._connectivity,
        }
        batches = rows[query.rows](engine, path, query)
        return write_rows(query.format, map(more, batches) if more else batches, query.ids)

    def _neurons(self, engine: Features, path: str, query: RowsQuery) -> Iterator[Columns]:
        return engine.scan(path, table=NEURON)

    def _synapses(self, engine: Features, path: str, query: RowsQuery) -> Iterator[Columns]:
        one = next((n for n in (query.neuron, query.pre, query.post) if n is not None), None)
        for batch in engine.scan(path, query.box, one):
            hit = np.ones(len(batch["n1"]), bool)
            if query.pre is not None:
                hit &= batch["n1"] == np.uint64(query.pre)
            if query.post is not None:
                hit &= batch["n2"] == np.uint64(query.post)
            if query.neuron is not None:
                key = np.uint64(query.neuron)
                hit &= (batch["n1"] == key) | (batch["n2"] == key)
            yield {name: column[hit] for name, column in batch.items()}

    def _partners(self, engine: Features, path: str, query: RowsQuery) -> Iterator[Columns]:
        assert query.id is not None
        for side, partners in zip(("out", "in"), engine.partners(path, query.id), strict=True):
            ids, counts = np.unique(partners, return_counts=True)
            order = np.lexsort((ids, -counts))
            yield {
                "side": np.full(len(ids), side, object),
                "partner": ids[order],
                "synapses": counts[order],
            }

    def _connectivity(self, engine: Features, path: str, query: RowsQuery) -> Iterator[Columns]:
        wanted = np.array(query.wanted, np.uint64)
        order = np.argsort(wanted)
        for start in range(0, len(wanted), SOME):
            some = wanted[start : start + SOME]
            counts = np.zeros((len(some), len(wanted)), np.int64)
            for row, number in zip(counts, some.tolist(), strict=True):
                after, _ = engine.partners(path, number)
                places = np.searchsorted(wanted[order], after)
                places[places == len(wanted)] = 0
                hit = wanted[order][places] == after
                np.add.at(row, order[places[hit]], 1)
            yield {"pre": some, **{str(n): counts[:, i] for i, n in enumerate(query.wanted)}}


def _nothing(path: str, table: str) -> Absent:
    return Absent(f"The dataset of {path} has no {table}s.")


def _feature_of(facts: Facts, feature: str) -> Callable[..., Any]:
    """Return the method that finds a feature."""
    methods: dict[str, Callable[..., Any]] = {
        "is_neuron": facts.is_neuron,
        "is_synapse": facts.is_synapse,
        "neuron_keypoint": facts.neuron_keypoint,
        "synapse_keypoint": facts.synapse_keypoint,
        "synapse_parent": facts.synapse_parent,
        "synapse_ids": facts.synapse_ids,
        "neuron_children": facts.neuron_children,
        "all_neurons": facts.all_neurons,
    }
    return methods[feature]
