"""What all parts of the suite share: rows, and how a database is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.engine import Engine
    from bfly.tables.columns import Columns

__all__ = [
    "BIG",
    "EVERYWHERE",
    "NEURON",
    "PATH",
    "SYNAPSE",
    "DatabaseTests",
    "neurons_of",
    "random_synapses",
]

SYNAPSE, NEURON = "synapse", "neuron"
PATH = "/data/set"
BIG = 2**64 - 1
EVERYWHERE = BoundingBox((-(10**6),) * 3, (10**6,) * 3)


def random_synapses(count: int, seed: int = 0, neurons: int = 500, extent: int = 4000) -> Columns:
    """Return synapses in clusters, between neurons with ids over all 64 bits, some with pre = post.

    Parameters
    ----------
    count, neurons : int
        How many.
    seed : int
        The same seed gives the same synapses.
    extent : int
        Of the volume, in voxels; some coordinates are negative.
    """
    random = np.random.default_rng(seed)
    names = np.unique(random.integers(0, 2**64, neurons, np.uint64))
    names[-1] = BIG
    weights = 1 / np.arange(1, len(names) + 1)
    pre, post = random.choice(names, (2, count), p=weights / weights.sum())
    centres = random.integers(-extent // 8, extent, (32, 3))
    points = centres[random.integers(0, 32, count)] + random.normal(0, extent / 20, (count, 3))
    z, y, x = points.astype(np.int64).T
    ids = np.arange(count, dtype=np.uint64)
    return {"__id": ids, "n1": pre, "n2": post, "z": z, "y": y, "x": x}


def neurons_of(columns: Columns) -> set[int]:
    """Return the neurons that synapses name."""
    return set(columns["n1"].tolist()) | set(columns["n2"].tolist())


class DatabaseTests(ABC):
    """Base of the parts.

    Attributes
    ----------
    durable : bool
        Whether a second instance at the same place finds what the first one wrote.
    queries : int
        How many random questions are asked of 200,000 synapses.
    """

    durable: ClassVar[bool] = True
    queries: ClassVar[int] = 20_000

    @pytest.fixture
    def place(self) -> str:
        """Return an empty place for a database: what the class takes as ``path``."""
        return ""

    @abstractmethod
    def open(self, place: str, runtime: RUNTIME) -> Engine:
        """Open the database at a place, made new if there is none."""

    @pytest.fixture
    def database(self, place: str) -> Engine:
        """Return an empty database with the tables of one dataset."""
        database = self.open(place, RUNTIME())
        database.add_path("/data/set/em.h5", PATH)
        database.add_tables(PATH)
        return database

    def reopened(self, place: str) -> Iterator[Engine]:
        """Yield a second instance, where there can be one."""
        if self.durable:
            yield self.open(place, RUNTIME())
