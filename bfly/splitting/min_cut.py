"""Split a segment between supervoxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.components import components
from bfly.splitting.levels import separated
from bfly.splitting.max_flow import Graph
from bfly.splitting.paths import kept_together
from bfly.splitting.refusal import Reason, SplitRefused, place_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.splitting.edges import Edges

    Places = NDArray[np.int64]

__all__ = ["OTHERS", "SINK", "SOURCE", "Cut", "Points", "cut"]

SOURCE, SINK, OTHERS = 1, 2, 3
"""Sides of a cut. Pieces that hang on neither side are numbered from `OTHERS` on."""

MERGED = 4
"""How many times smaller a weight of 0 is than the smallest other weight: two levels."""


class Points(NamedTuple):
    """One group of points.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, one for each point.
    places : numpy.ndarray
        int64 of shape (n, 3): z, y, x of each point, for messages.
    """

    supervoxels: NDArray[np.uint64]
    places: Places


class Cut(NamedTuple):
    """A segment in pieces.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, sorted.
    sides : numpy.ndarray
        int64, `SOURCE`, `SINK`, or from `OTHERS` on the number of a piece that was connected to
        neither before the cut. Those are ordered by their lowest supervoxel.
    is_cut : numpy.ndarray
        bool, for each edge whether it connects the two sides.
    area : float
        nm² of the cut edges.
    """

    supervoxels: NDArray[np.uint64]
    sides: Places
    is_cut: NDArray[np.bool_]
    area: float


def cut(
    supervoxels: NDArray[np.uint64],
    edges: Edges,
    sources: Points,
    sinks: Points,
    *,
    may_be_points: bool = False,
) -> Cut:
    """Separate two groups of points of a segment.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, those of the segment in the box, sorted.
    edges : Edges
        What connects them. Edges to other supervoxels are ignored.
    sources, sinks : Points
        At least one point each.
    may_be_points : bool
        Whether a side may have nothing but supervoxels with points.

    Raises
    ------
    SplitRefused
        The segment cannot be split with these points. The reason is one of `NO_POINTS`,
        `NOT_ON_SEGMENT`, `SAME_SUPERVOXEL`, `INSEPARABLE`, `APART` and `ONLY_POINTS`.
    """
    groups = [_nodes(supervoxels, group) for group in (sources, sinks)]
    _check_apart(supervoxels, *groups)
    is_inside = np.isin(edges.pairs, supervoxels).reshape(-1, 2).min(axis=1, initial=True)
    a, b = np.searchsorted(supervoxels, edges.pairs[is_inside]).T
    graph = Graph(len(supervoxels), a, b, edges.weights[is_inside])
    graph = graph.merged(np.arange(len(supervoxels)))
    graph = graph._replace(weights=_positive(graph.weights))
    together = kept_together(graph, *groups)
    source, sink = (int(nodes[0]) for nodes in together)
    node = np.arange(graph.nodes)
    node[together[0]], node[together[1]] = source, sink
    joined = graph.merged(node)
    label = components(graph.nodes, joined.a, joined.b)
    if label[source] != label[sink]:
        raise SplitRefused(
            Reason.APART,
            "There is nothing to cut: nothing near the points connects the two groups. If they are "
            "one segment, the connection is elsewhere: place the points on both sides of it.",
        )
    is_source = separated(joined, source, sink)[node]
    crosses = (is_source[a] != is_source[b]) & (label[node][a] == label[source])
    if not may_be_points:
        _check_more_than_points(graph, is_source, label[node] == label[source], groups)
    is_cut = np.zeros(len(is_inside), np.bool_)
    is_cut[is_inside] = crosses
    return Cut(
        supervoxels,
        _sides(graph.nodes, a[~crosses], b[~crosses], groups),
        is_cut,
        float(edges.areas[is_cut].sum()),
    )


def _nodes(supervoxels: NDArray[np.uint64], points: Points) -> Places:
    """Return the nodes of a group, sorted, without duplicates."""
    if not len(points.supervoxels):
        raise SplitRefused(
            Reason.NO_POINTS, "One group has no points: each side of a split needs at least one."
        )
    for supervoxel, place in zip(points.supervoxels, points.places, strict=True):
        if supervoxel not in supervoxels:
            raise SplitRefused(
                Reason.NOT_ON_SEGMENT,
                f"The point at {place_words(place)} is on supervoxel {supervoxel}, which is not in "
                "this segment. Move it onto the segment.",
            )
    return np.unique(np.searchsorted(supervoxels, points.supervoxels))


def _check_apart(supervoxels: NDArray[np.uint64], sources: Places, sinks: Places) -> None:
    both = supervoxels[np.intersect1d(sources, sinks)].tolist()
    if both:
        raise SplitRefused(
            Reason.SAME_SUPERVOXEL,
            f"Points of both groups are on the same supervoxel ({', '.join(map(str, both))}). "
            "Place the points farther apart.",
            both,
        )


def _positive(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights with something smaller than all others in place of 0."""
    is_zero = weights <= 0
    smallest = weights[~is_zero].min() if not is_zero.all() else 1.0
    return np.where(is_zero, smallest / MERGED, weights)


def _check_more_than_points(
    graph: Graph, is_source: NDArray[np.bool_], is_inside: NDArray[np.bool_], groups: list[Places]
) -> None:
    """Refuse a side that has nothing but points, unless these have no neighbours but points."""
    for own, is_side in zip(groups, (is_source, ~is_source), strict=True):
        if np.count_nonzero(is_side & is_inside) > len(own):
            continue
        neighbours = np.concatenate(
            [graph.b[np.isin(graph.a, own)], graph.a[np.isin(graph.b, own)]]
        )
        if not np.isin(neighbours, np.concatenate(groups)).all():
            raise SplitRefused(
                Reason.ONLY_POINTS,
                "Only the supervoxels with points would be cut off. Place more points of that "
                "group in the part that is to be separated. If only these supervoxels are meant, "
                "place points of the other group on all of their neighbours.",
            )


def _sides(count: int, a: Places, b: Places, groups: list[Places]) -> Places:
    """Return the side of each node by the edges that are left."""
    label = components(count, a, b)
    sides = np.zeros(count, np.int64)
    for side, nodes in zip((SOURCE, SINK), groups, strict=True):
        sides[np.isin(label, label[nodes])] = side
    rest = sides == 0
    _, first, piece = np.unique(label[rest], return_index=True, return_inverse=True)
    sides[rest] = OTHERS + np.argsort(np.argsort(first))[piece]
    return sides
