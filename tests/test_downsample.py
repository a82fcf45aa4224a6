from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bfly.downsample import downsample


def blocks(voxels: np.ndarray, origin: tuple[int, int, int], factor: tuple[int, int, int]):
    """Yield each block's voxels with the place of its reduced voxel: the slow, plain way."""
    firsts = [o // f for o, f in zip(origin, factor, strict=True)]
    lasts = [(o + n - 1) // f for o, n, f in zip(origin, voxels.shape, factor, strict=True)]
    shape = tuple(b - a + 1 for a, b in zip(firsts, lasts, strict=True))
    for place in np.ndindex(shape):
        region = []
        for p, a, o, f in zip(place, firsts, origin, factor, strict=True):
            start = (a + p) * f - o
            region.append(slice(max(0, start), start + f))
        yield place, shape, voxels[tuple(region)]


@pytest.mark.parametrize("origin", [(0, 0, 0), (3, 1, 5)])
@pytest.mark.parametrize("factor", [(1, 2, 2), (1, 4, 4), (2, 2, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64])
def test_the_mode_is_the_smallest_most_frequent_label(origin, factor, dtype) -> None:
    voxels = np.random.default_rng(1).integers(0, 4, (3, 9, 11)).astype(dtype)
    voxels += np.iinfo(dtype).max - 4
    found = downsample(voxels, origin, factor, "segmentation")
    assert found.dtype == dtype
    for place, shape, block in blocks(voxels, origin, factor):
        assert found.shape == shape
        values, counts = np.unique(block, return_counts=True)
        assert found[place] == values[counts == counts.max()].min()


@pytest.mark.parametrize("origin", [(0, 0, 0), (0, 3, 1), (5, 17, 33)])
@pytest.mark.parametrize("factor", [(1, 2, 2), (1, 8, 8), (4, 16, 16), (8, 32, 32)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_mean_is_of_the_voxels_that_are_there(origin, factor, dtype) -> None:
    voxels = np.random.default_rng(2).integers(0, 255, (2, 13, 10)).astype(dtype)
    found = downsample(voxels, origin, factor, "image")
    for place, _, block in blocks(voxels, origin, factor):
        mean = block.mean(dtype=np.float64)
        if dtype == np.float32:
            assert found[place] == pytest.approx(mean, rel=1e-6)
        else:
            assert found[place] == np.rint(mean)


SIGNED = st.sampled_from(["i1", "i2", "i4", "i8"])


@given(
    dtype=SIGNED,
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    origin=st.tuples(*[st.integers(0, 9)] * 3),
    factor=st.tuples(*[st.sampled_from([1, 2, 3, 4])] * 3),
    spread=st.sampled_from([2, 2**62]),
    seed=st.integers(0, 99),
)
def test_negative_numbers_are_averaged_exactly(dtype, shape, origin, factor, spread, seed) -> None:
    limits = np.iinfo(dtype)
    low, top = max(limits.min, -spread), min(limits.max, spread)
    voxels = np.random.default_rng(seed).integers(low, top, shape, dtype, endpoint=True)
    found = downsample(voxels, origin, factor, "image")
    assert found.dtype == dtype
    for place, _, block in blocks(voxels, origin, factor):
        assert found[place] == round(Fraction(sum(block.ravel().tolist()), block.size))


@pytest.mark.parametrize("shape", [(3, 9, 11), (1, 300, 300)])
@given(dtype=SIGNED, seed=st.integers(0, 99))
def test_the_mode_of_signed_labels_is_the_smallest_most_frequent(shape, dtype, seed) -> None:
    voxels = np.random.default_rng(seed).integers(-2, 2, shape).astype(dtype)
    voxels = np.sort(voxels, axis=None).reshape(shape) if shape[0] == 1 else voxels
    for factor in ((1, 2, 2), shape):
        found = downsample(voxels, (0, 0, 0), factor, "segmentation")
        assert found.dtype == dtype
        for place, _, block in blocks(voxels, (0, 0, 0), factor):
            if sum(place) % 97 == 0:
                values, counts = np.unique(block, return_counts=True)
                assert found[place] == values[counts == counts.max()].min()


def test_mode_agrees_with_scipy() -> None:
    voxels = np.random.default_rng(3).integers(0, 5, (1, 64, 64)).astype(np.uint32)
    grouped = voxels.reshape(1, 16, 4, 16, 4).transpose(0, 1, 3, 2, 4).reshape(1, 16, 16, 16)
    expected = stats.mode(grouped, axis=-1).mode
    assert np.array_equal(downsample(voxels, (0, 0, 0), (1, 4, 4), "segmentation"), expected)


FACTORS = st.tuples(*[st.sampled_from([1 << k for k in range(8)])] * 3)


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    origin=st.tuples(*[st.integers(0, 300)] * 3),
    factor=FACTORS,
    kind=st.sampled_from(["image", "segmentation"]),
)
def test_blocks_may_be_larger_than_the_voxels(shape, origin, factor, kind) -> None:
    voxels = np.random.default_rng(sum(shape)).integers(0, 4, shape).astype(np.uint16)
    found = downsample(voxels, origin, factor, kind)
    for place, expected, block in blocks(voxels, origin, factor):
        assert found.shape == expected
        values, counts = np.unique(block, return_counts=True)
        mode = values[counts == counts.max()].min()
        assert found[place] == (np.rint(block.mean()) if kind == "image" else mode)


@pytest.mark.parametrize("kind", ["image", "segmentation"])
def test_a_block_takes_no_more_memory_or_time_than_its_voxels(kind) -> None:
    voxels = np.random.default_rng(4).integers(0, 4, (2, 5, 7)).astype(np.uint32)
    values, counts = np.unique(voxels, return_counts=True)
    expected = np.rint(voxels.mean()) if kind == "image" else values[counts.argmax()]
    assert downsample(voxels, (1, 2, 3), (1 << 29, 1 << 31, 1 << 31), kind).tolist() == [
        [[expected]]
    ]
    across = downsample(voxels, (0, (1 << 31) - 1, 0), (1 << 29, 1 << 31, 1 << 31), kind)
    assert across.shape == (1, 2, 1)


@pytest.mark.parametrize("longest", [2, 50])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_the_mode_of_a_large_block_whether_or_not_labels_come_in_runs(longest, dtype) -> None:
    rng = np.random.default_rng(longest)
    labels = rng.integers(0, 6, 200_000).astype(dtype)
    voxels = labels.repeat(rng.integers(1, longest, len(labels)))[: 40 * 50 * 60].reshape(
        40, 50, 60
    )
    values, counts = np.unique(voxels, return_counts=True)
    found = downsample(voxels, (0, 3, 0), (64, 64, 64), "segmentation")
    assert found.dtype == dtype
    assert found.tolist() == [[[values[counts == counts.max()].min()]]]
    tie = np.repeat(np.array([9, 4, 7, 4, 9], dtype), 1 << 15).reshape(1, 5, -1)
    assert downsample(tie, (0, 0, 0), (1, 8, 1 << 15), "segmentation").tolist() == [[[4]]]
