"""The labels that the filter of BossDB keeps, against numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bfly.protocols import boss_queries as boss_answers

IDS = st.sampled_from([0, 1, 7, 2**32 + 1, 2**53 + 1, 2**63, 2**64 - 1])


@given(
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    there=st.lists(IDS, min_size=1),
    labels=st.lists(IDS, min_size=1),
    dtype=st.sampled_from(["u1", "u4", "u8", "i1", "i4", "i8"]),
    transposed=st.booleans(),
)
def test_all_labels_but_those_are_0(shape, there, labels, dtype, transposed) -> None:
    values = np.array(there, np.uint64).astype(dtype)
    voxels = np.random.default_rng(len(there)).choice(values, shape)
    voxels = voxels.T if transposed else voxels
    found = boss_answers._only(voxels, np.array(labels, np.uint64))
    assert found.dtype == voxels.dtype
    expected = [label if label in labels else 0 for label in voxels.ravel().tolist()]
    assert found.ravel().tolist() == expected
