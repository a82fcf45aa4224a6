"""Answers to requests for annotations, read live from the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.connectome.annotation_format import RELATIONS, Schema
from bfly.connectome.connectome import SYNAPSE
from bfly.connectome.spatial_levels import LIMIT, Cells, levels
from bfly.databases.lod import mixed
from bfly.errors import Absent
from bfly.tables.columns import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.connectome.connectome import Connectome
    from bfly.databases.features import Features
    from bfly.queries.annotation import AnnotationQuery
    from bfly.tables.columns import Columns

__all__ = ["Annotations"]


class Annotations:
    """Answers to requests for synapses as annotations.

    Parameters
    ----------
    connectome : Connectome
        Source of the rows.
    """

    def __init__(self, connectome: Connectome) -> None:
        self._connectome = connectome

    def answer(self, query: AnnotationQuery) -> bytes:
        """Answer a request.

        Parameters
        ----------
        query : AnnotationQuery
            For ``info`` and ``spatial`` its source has to be set, for the voxel size.

        Raises
        ------
        Absent
            The dataset has no synapses, or there is no such synapse, level or cell.
        """
        engine = self._connectome.edited(query)
        answers: dict[str, Callable[[Features, str, AnnotationQuery], bytes]] = {
            "info": self._info,
            "by_id": self._by_id,
            "pre": self._related,
            "post": self._related,
            "spatial": self._spatial,
        }
        return answers[query.part](engine, engine.dataset(query.path), query)

    def _info(self, engine: Features, path: str, query: AnnotationQuery) -> bytes:
        cells = self._levels(engine, path, query)
        finest, sizes = cells[-1], query.volume.voxel_size[::-1]
        shape = [grid * size for grid, size in zip(finest.grid, finest.size, strict=True)]
        upper = [start + n for start, n in zip(finest.origin, shape, strict=True)]
        info: dict[str, Any] = {
            "@type": "neuroglancer_annotations_v1",
            # Divided as Neuroglancer does for volumes, for bitwise equal scales.
            "dimensions": {
                axis: [size / 1e9, "m"] for axis, size in zip("xyz", sizes, strict=True)
            },
            "lower_bound": finest.origin[::-1],
            "upper_bound": upper[::-1],
            **Schema.of(self._none(engine, path), engine.ranges(path)).description(),
            "relationships": [{"id": name, "key": name} for name in RELATIONS],
            "by_id": {"key": "by_id"},
            "spatial": [
                {
                    "key": f"spatial{number}",
                    "grid_shape": level.grid[::-1],
                    "chunk_size": level.size[::-1],
                    "limit": LIMIT,
                }
                for number, level in enumerate(cells)
            ],
        }
        return json.dumps(info).encode()

    @staticmethod
    def _none(engine: Features, path: str) -> Columns:
        """Return zero synapses, with all columns."""
        return engine.rows(SYNAPSE, path, np.empty(0, np.uint64))

    def _levels(self, engine: Features, path: str, query: AnnotationQuery) -> list[Cells]:
        count = engine.count(SYNAPSE, path)
        self._connectome.check_some(engine, SYNAPSE, path)
        return levels(count, engine.ranges(path), query.volume.voxel_size)

    def _spatial(self, engine: Features, path: str, query: AnnotationQuery) -> bytes:
        cells = self._levels(engine, path, query)
        if query.level >= len(cells):
            raise Absent(f"There is no level {query.level}, only 0 to {len(cells) - 1}.")
        level = cells[query.level]
        synapses = engine.thinned(path, level.first, level.last, level.box(query.cell))
        # In random order, since a viewer that shows fewer takes the first ones.
        order = np.argsort(mixed(synapses[KEYS[SYNAPSE]]))
        synapses = {name: column[order] for name, column in synapses.items()}
        return Schema.of(synapses, engine.ranges(path)).many(synapses)

    def _related(self, engine: Features, path: str, query: AnnotationQuery) -> bytes:
        # Segment 0 means no neuron: it may have as many synapses as all others together.
        synapses = engine.synapses_of(path, query.id) if query.id else self._none(engine, path)
        hit = synapses[RELATIONS[query.part]] == np.uint64(query.id or 0)
        if not hit.any():
            # A segment without synapses is no error: a viewer's user may select any.
            self._connectome.check_some(engine, SYNAPSE, path)
        synapses = {name: column[hit] for name, column in synapses.items()}
        return Schema.of(synapses, engine.ranges(path)).many(synapses)

    def _by_id(self, engine: Features, path: str, query: AnnotationQuery) -> bytes:
        synapse = engine.rows(SYNAPSE, path, np.array([query.id], np.uint64))
        if not len(synapse[KEYS[SYNAPSE]]):
            raise Absent(f"There is no synapse {query.id}.")
        return Schema.of(synapse, engine.ranges(path)).single(synapse)
