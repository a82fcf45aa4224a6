"""The supervoxel nearest to a point, in nanometres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of

from bfly.splitting.nearest import RADII, nearest_supervoxel
from bfly.splitting.refusal import Reason, SplitRefused

SIZE = (40.0, 4.0, 8.0)
OWN = np.array([2, 3], np.uint64)


@given(
    of.arrays(np.int32, (7, 9, 8), elements=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3])),
    st.tuples(*[st.floats(-3, 12)] * 3),
)
def test_it_is_the_nearest_of_all(labels: np.ndarray, point: tuple[float, float, float]) -> None:
    own = np.argwhere(np.isin(labels, OWN))
    distances = np.sqrt((((own - point) * SIZE) ** 2).sum(axis=1))
    if len(own) and distances.min() <= RADII[-1] * np.mean(SIZE):
        found = nearest_supervoxel(labels, OWN, point, SIZE)
        assert found.distance == pytest.approx(distances.min())
        assert labels[found.place] == found.supervoxel
        assert found.supervoxel in OWN
    else:
        with pytest.raises(SplitRefused) as refused:
            nearest_supervoxel(labels, OWN, point, SIZE)
        assert refused.value.reason is Reason.NOT_ON_SEGMENT


def test_thick_sections_count() -> None:
    labels = np.zeros((9, 99, 99), np.uint64)
    labels[5, 50, 50] = 2  # one section away: 40 nm
    labels[4, 50, 59] = 3  # nine voxels away: 36 nm
    found = nearest_supervoxel(labels, OWN, (14, 60, 70), (40, 4, 4), origin=(10, 10, 20))
    assert found == (3, (14, 60, 79), 36)


def test_no_voxel_of_the_segment_is_near() -> None:
    labels = np.zeros((1, 1, 99), np.uint8)
    labels[0, 0, 60] = 2
    with pytest.raises(SplitRefused, match="within 280 nm of the point at x 20, y 0, z 0"):
        nearest_supervoxel(labels, OWN, (0, 0, 20), (10, 10, 10))
