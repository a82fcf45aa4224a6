from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from bfly.databases.memory import grid
from bfly.databases.memory.grid import Grid, joined
from bfly.geometry import BoundingBox
from bfly.tables.columns import inside

EXTREME = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(-40, 40)
# Places up to 2^20 - 1 voxels apart, which fit the bits of a word, and somewhat further.
EDGE = st.sampled_from([-(2**19), *range(2**19 - 3, 2**19 + 3)])
coordinates = st.one_of(NEAR, EDGE, EXTREME)


def found(places: Grid, box: BoundingBox) -> list[int]:
    runs, hit = places.inside(box)
    return sorted(joined(places.order, runs)[hit].tolist())


def truth(points: list[np.ndarray], box: BoundingBox) -> list[int]:
    return np.flatnonzero(inside(dict(zip("zyx", points, strict=True)), box)).tolist()


@example([(2**63 - 1, 0, 0), (-(2**63), 0, 0)], (-(2**63), 0, 0), (0, 1, 1))
@given(
    st.sampled_from([NEAR, EDGE, EXTREME, coordinates]).flatmap(
        lambda axis: st.lists(st.tuples(axis, axis, axis), max_size=40)
    ),
    st.tuples(*[coordinates | st.integers(-(2**70), 2**70)] * 3),
    st.tuples(*[coordinates | st.integers(-(2**70), 2**70)] * 3),
)
def test_boxes_among_any_places(points, one, other):
    axes = list(np.array(points, np.int64).reshape(-1, 3).T)
    places = Grid(axes)
    for start, stop in ((one, other), (tuple(map(min, one, other)), tuple(map(max, one, other)))):
        box = BoundingBox(start, stop)
        assert found(places, box) == truth(axes, box)


def test_boxes_look_at_few_of_many_places():
    random = np.random.default_rng(0)
    axes = [random.integers(-n, n, 100_000) for n in (60, 3000, 500)]
    places = Grid(axes)
    for _ in range(200):
        start = random.integers((-70, -3500, -600), (70, 3500, 600))
        shape = random.integers(0, (20, 1000, 170))
        box = BoundingBox.of_shape(tuple(shape.tolist()), tuple(start.tolist()))
        _, hit = places.inside(box)
        assert found(places, box) == truth(axes, box)
        assert len(hit) < 6000
        assert len(hit) <= 2 * places.about(box)


def test_cells_of_a_volume_of_one_section(monkeypatch):
    monkeypatch.setattr(grid, "PER_CELL", 2)
    axes = [np.zeros(100, np.int64), np.arange(100) % 10, np.arange(100) // 10]
    box = BoundingBox((0, 2, 3), (1, 4, 5))
    assert found(Grid(axes), box) == [32, 33, 42, 43]
