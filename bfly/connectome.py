"""Answers about neurons and synapses, from the database: facts, and rows to be streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.databases.engine import Engine
from bfly.edits.merged import Merged
from bfly.errors import Absent, BadRequest
from bfly.tables.writing import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.columns import Columns
    from bfly.databases.database import Database
    from bfly.databases.features import Features
    from bfly.edits.edits import Edits
    from bfly.queries.feature import FeatureQuery, RowsQuery

__all__ = ["Connectome"]

NEURON, SYNAPSE = "neuron", "synapse"

SOME = 100
"""How many rows of a matrix are counted at once."""


class Connectome:
    """Answers requests about neurons and synapses.

    Parameters
    ----------
    db : Database
        Where they are kept.
    edits : Edits
        What became of the supervoxels that they are ids of.
    """

    def __init__(self, db: Database, edits: Edits) -> None:
        self._db = db
        self._edits = edits

    def engine(self, path: str, table: str) -> Features:
        """Give the engine, if there is one that can have a table.

        Raises
        ------
        Absent
            There is none.
        """
        if isinstance(self._db, Engine):
            return self._db
        raise _nothing(path, table)

    def counts(self, path: str) -> dict[str, int]:
        """Count the neurons and synapses of a dataset; 0 where there are none of a kind."""
        tables = {"neurons": NEURON, "synapses": SYNAPSE}
        if not isinstance(self._db, Engine):
            return dict.fromkeys(tables, 0)
        engine = self._db
        return {name: engine.count(table, engine.dataset(path)) for name, table in tables.items()}

    def _edited(self, query: FeatureQuery | RowsQuery, table: str) -> Features:
        """Give the engine with the edits that are asked for."""
        engine = self.engine(query.path, table)
        if query.labels == "supervoxels":
            return engine
        states = {path: self._edits.channel(path).state for path in query.labelled}
        edited = [path for path, state in states.items() if state.position]
        if len(edited) > 1:
            raise BadRequest(
                f"The channels of {edited} have edits: name one as channel, or ask with "
                "labels=supervoxels."
            )
        return Merged(engine, states[edited[0]]) if edited else engine

    def feature(self, query: FeatureQuery) -> Any:
        """Find one fact (see `Features` for each).

        Raises
        ------
        Absent
            There is no neuron or synapse with the id, or the dataset has none at all.
        """
        engine = self._edited(query, query.table)
        ask = getattr(engine, query.feature)
        arguments: list[Any] = [query.table, query.path]
        if query.id is not None:
            arguments.append(query.id)
        if query.box is not None and query.feature in ("synapse_ids", "neuron_children"):
            arguments += [query.box.start, query.box.stop]
        if query.feature.endswith("keypoint"):
            arguments.append(2**query.resolution)
        answer = ask(*arguments)
        if not answer:
            self.check_some(engine, query.table, query.path)
        if answer == {} and query.id is not None:
            if query.feature != "neuron_children":
                raise Absent(f"There is no {query.table} {query.id}.")
            self._check_neuron(engine, query.path, query.id)
        return answer

    def check_some(self, engine: Features, table: str, path: str) -> None:
        """Raise `Absent` if the dataset of a path has no rows of a table."""
        if not engine.count(table, engine.dataset(path)):
            raise _nothing(path, table)

    def _check_neuron(self, engine: Features, path: str, number: int) -> None:
        """Find a neuron, or synapses of it: those that were added may be of one that was not."""
        if not engine.is_neuron(NEURON, path, number):
            found = engine.scan(engine.dataset(path), neuron=number)
            if not any(len(batch["n1"]) for batch in found):
                raise Absent(f"There is no neuron {number}.")

    def rows(self, query: RowsQuery) -> Iterator[bytes]:
        """Find rows and write them as they come.

        Raises
        ------
        Absent
            There is no neuron with an id that was asked for, or the dataset has none at all.
        """
        table = NEURON if query.rows == "neurons" else SYNAPSE
        engine = self._edited(query, table)
        self.check_some(engine, table, query.path)
        path = engine.dataset(query.path)
        for number in (query.neuron, query.pre, query.post, query.id, *query.wanted):
            if number is not None:
                self._check_neuron(engine, path, number)
        batches = getattr(self, f"_{query.rows}")(engine, path, query)
        return write_rows(query.format, batches, query.ids)

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
