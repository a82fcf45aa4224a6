"""Masks as runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of

from bfly.errors import BadRequest
from bfly.splitting.mask_runs import mask_of, runs_of_mask


@given(of.arrays(bool, of.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=7)))
def test_a_mask_comes_back(mask: np.ndarray) -> None:
    runs = runs_of_mask(mask)
    assert (mask_of(runs, mask.shape) == mask).all()
    assert runs[:, 1].sum() == mask.sum()
    assert (runs[1:, 0] > runs[:-1].sum(axis=1)).all()


@given(st.lists(st.tuples(*[st.sampled_from([-1, 0, 1, 7, 8, 2**62, 2**63 - 1])] * 2), max_size=3))
def test_runs_are_within_the_mask_or_refused(runs: list[tuple[int, int]]) -> None:
    is_inside = all(start >= 0 < length and start + length <= 8 for start, length in runs)
    wanted = [place for start, length in runs for place in range(start, min(start + length, 99))]
    array = np.array(runs, np.int64).reshape(-1, 2)
    if is_inside and wanted == sorted(set(wanted)):
        assert np.flatnonzero(mask_of(array, (2, 2, 2))).tolist() == wanted
    else:
        with pytest.raises(BadRequest, match="not ascending within its 8 voxels"):
            mask_of(array, (2, 2, 2))
