import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.encoders.unsigned import as_unsigned, unsigned
from bfly.errors import BadRequest, SourceError


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("i1", "u1"), ("<i2", "<u2"), (">i4", ">u4"), ("i8", "u8"), ("u2", "u2"), ("f4", "f4")],
)
def test_only_signed_integers_change(dtype, expected):
    assert unsigned(np.dtype(dtype)) == np.dtype(expected)


@given(st.sampled_from(["i1", ">i2", "i4", "i8", "u8", "f4"]), st.integers(0, 127))
def test_values_stay_and_nothing_is_copied(dtype, value):
    voxels = np.full((2, 3, 4), value, dtype)[:, ::2]
    found = as_unsigned(voxels, "it")
    assert found.dtype == unsigned(voxels.dtype)
    assert np.array_equal(found, voxels)
    assert np.shares_memory(found, voxels)


@pytest.mark.parametrize("dtype", ["i1", ">i2", "i4", "i8"])
def test_a_negative_voxel_is_named(dtype):
    voxels = np.array([3, -7], dtype)
    name = voxels.dtype.name
    with pytest.raises(BadRequest, match=f"It holds no {name}, and a voxel is -7; allowed are 0"):
        as_unsigned(voxels, "It")
    with pytest.raises(SourceError, match=r"a\.h5"):
        as_unsigned(voxels, "a.h5", SourceError)


def test_no_voxels_are_no_negative_ones():
    assert as_unsigned(np.zeros((0, 2, 3), "i4"), "it").dtype == np.uint32
