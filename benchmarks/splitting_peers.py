"""One minimum cut by Butterfly, networkx and ortools."""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from rich.table import Table

from benchmarks.measure import interleaved
from bfly.splitting.levels import separated
from bfly.splitting.max_flow import Graph, source_side

if TYPE_CHECKING:
    from collections.abc import Callable

    Side = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = ["libraries", "peers"]

SIDE, ROUNDS = 20, 3

STRONG = 1e3
"""Weight of the edges that tie two faces of the grid to source and sink."""


def _grid() -> Graph:
    """Return a grid of random weights between two faces; the last two nodes are the ends."""
    number = np.arange(SIDE**3).reshape((SIDE,) * 3)
    rows = [
        (np.delete(number, -1, axis).ravel(), np.delete(number, 0, axis).ravel())
        for axis in range(3)
    ]
    source, sink = SIDE**3, SIDE**3 + 1
    rows += [(number[0].ravel(), np.full(SIDE**2, source))]
    rows += [(number[-1].ravel(), np.full(SIDE**2, sink))]
    a, b = (np.concatenate(column) for column in zip(*rows, strict=True))
    weights = np.random.default_rng(0).lognormal(0, 1, len(a))
    weights[-2 * SIDE**2 :] = STRONG
    return Graph(SIDE**3 + 2, a, b, weights)


def peers() -> Table:
    """Return the times, and the weights of what is cut."""
    graph = _grid()
    source, sink = SIDE**3, SIDE**3 + 1
    costs: dict[str, float] = {}

    def timed(name: str, run: Callable[[Graph, int, int], Side]) -> float:
        start = time.perf_counter()
        side = run(graph, source, sink)
        seconds = time.perf_counter() - start
        costs[name] = float(graph.weights[side[graph.a] != side[graph.b]].sum())
        return seconds

    runs = libraries()
    samples = interleaved(ROUNDS, {name: partial(timed, name, run) for name, run in runs.items()})
    table = Table(title=f"A cut of {graph.nodes:,} supervoxels with {len(graph.a):,} contacts")
    for title in ("library", "ms", "weight of the cut"):
        table.add_column(title)
    for name, seconds in samples.items():
        table.add_row(name, f"{1e3 * median(seconds):.0f}", f"{costs[name]:.3f}")
    return table


def libraries() -> dict[str, Callable[[Graph, int, int], Side]]:
    """Return the functions that cut a graph between two nodes, by library and version."""
    runs = {
        "bfly, level by level": separated,
        "bfly, all levels as one": source_side,
        f"networkx {nx.__version__}": _networkx,
    }
    try:
        import ortools

        runs[f"ortools {ortools.__version__}"] = _ortools
    except ImportError:
        pass  # a library of its own that nothing else needs
    return runs


def _networkx(graph: Graph, source: int, sink: int) -> Side:
    other = nx.Graph()
    rows = zip(graph.a.tolist(), graph.b.tolist(), graph.weights.tolist(), strict=True)
    other.add_weighted_edges_from(rows, "capacity")
    _, (reached, _) = nx.minimum_cut(other, source, sink)
    side = np.zeros(graph.nodes, bool)
    side[sorted(reached)] = True
    return side


def _ortools(graph: Graph, source: int, sink: int) -> Side:
    from ortools.graph.python import max_flow

    solver = max_flow.SimpleMaxFlow()
    capacity = (graph.weights * 1e6).astype(np.int64)
    for ends in ((graph.a, graph.b), (graph.b, graph.a)):
        solver.add_arcs_with_capacity(*ends, capacity)
    solver.solve(source, sink)
    side = np.zeros(graph.nodes, bool)
    side[solver.get_source_side_min_cut()] = True
    return side
