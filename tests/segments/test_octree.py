"""Octrees: parents and children for all triangles, empty where there are none."""

from __future__ import annotations

import numpy as np

from bfly.segments.octree import octree


def test_missing_nodes_are_empty() -> None:
    levels = np.array([0, 0, 1, 2])
    nodes = np.array([[0, 0, 3], [0, 0, 0], [0, 0, 1], [0, 0, 0]])
    # Of (0, 0, 1) the eighth y: its child (0, 1, 2) has no triangles. Its sibling (0, 0, 0) has a
    # fragment at level 0 only, so that the parent is empty.
    eighths = np.array([1, 1, 0b0110, 0b0011])
    tree = octree(levels, nodes, eighths)
    assert [each.nodes.tolist() for each in tree] == [
        [[0, 0, 0], [0, 0, 3], [0, 1, 2]],
        [[0, 0, 0], [0, 0, 1]],
        [[0, 0, 0]],
    ]
    assert [each.sources.tolist() for each in tree] == [[1, 0, -1], [-1, 2], [3]]


def test_levels_end_before_one_without_triangles() -> None:
    nodes = np.zeros((2, 3), int)
    assert len(octree(np.array([0, 2]), nodes, np.array([1, 1]))) == 1
