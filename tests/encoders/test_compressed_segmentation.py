import compressed_segmentation
import numpy as np
import pytest

from bfly.encoders.compressed_segmentation import CompressedSegmentation
from bfly.errors import BadRequest
from bfly.testing.memory import SLACK, Case, measured


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("shape", [(64, 64, 64), (1, 1, 1), (5, 17, 30)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("writeable", [False, True])
def test_it_decodes_to_the_same_labels(dtype, shape, transposed, writeable):
    ids = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, 9, dtype, endpoint=True)
    voxels = np.random.default_rng(1).choice(ids, shape)
    voxels = voxels.T if transposed else voxels
    voxels.flags.writeable = writeable
    data = CompressedSegmentation().encode(voxels, kind="segmentation")
    found = compressed_segmentation.decompress(data, voxels.shape[::-1], dtype, order="F")
    assert np.array_equal(found[..., 0].T if found.ndim == 4 else found.T, voxels)


@pytest.mark.parametrize("bits", [32, 64])
def test_signed_labels_are_written_with_their_values(bits):
    rng = np.random.default_rng(0)
    voxels = rng.choice([0, 5, 2 ** (bits - 1) - 1], (5, 17, 30)).astype(f"i{bits // 8}")
    data = CompressedSegmentation().encode(voxels, kind="segmentation")
    assert data == CompressedSegmentation().encode(voxels.astype(f"u{bits // 8}"))
    voxels[4, 16, 29] = -2
    with pytest.raises(BadRequest, match=r"compressed_segmentation holds no int.*a voxel is -2"):
        CompressedSegmentation().encode(voxels, kind="segmentation")


def test_other_dtypes_are_refused():
    with pytest.raises(BadRequest, match="uint8; compressed_segmentation holds uint32 and uint64"):
        CompressedSegmentation().encode(np.zeros((1, 1, 1), np.uint8))


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize(
    "shape", [(200, 130, 131), (1, 700, 1001), (1, 1, 40_001), (40_001, 1, 1), (9, 2000, 17)]
)
def test_strips_of_blocks_decode_to_the_same_labels(dtype, shape):
    ids = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, 9, dtype, endpoint=True)
    voxels = np.random.default_rng(1).choice(ids, shape)
    voxels.flags.writeable = False
    data = bytes(CompressedSegmentation().encode(voxels, kind="segmentation"))
    found = compressed_segmentation.decompress(data, voxels.shape[::-1], dtype, order="F")
    assert np.array_equal(found[..., 0].T if found.ndim == 4 else found.T, voxels)


def test_labels_whose_tables_have_no_place_are_a_bad_request():
    labels = np.random.default_rng(0).integers(0, 2**60, (1, 2048, 4096), np.uint64)
    with pytest.raises(BadRequest, match="too large and varied for compressed_segmentation"):
        CompressedSegmentation().encode(labels)


def test_more_than_the_voxels_is_a_bad_request():
    """Blocks are stored whole, so that a thin cutout may become far larger than it is."""
    row = np.arange(8, dtype=np.uint32)
    rows = np.random.default_rng(0).permuted(np.tile(row, (2_000_000, 1)), axis=1)
    with pytest.raises(BadRequest, match="too large and varied for compressed_segmentation"):
        CompressedSegmentation().encode(rows.reshape(1, 1, -1))


def test_more_blocks_than_places_is_a_bad_request():
    endless = np.broadcast_to(np.uint32(0), (2**23 * 8 + 1, 1, 1))
    with pytest.raises(BadRequest, match="has 8388609 blocks"):
        CompressedSegmentation().encode(endless)


def test_no_more_memory_than_stated():
    cases = [Case((256, 128, 256), dtype, smooth=True) for dtype in ("u4", "u8")]
    cases += [Case((64, 64, 64), "u8"), Case((1, 1024, 2048), "u4", smooth=True)]
    for case, peak in zip(cases, measured(CompressedSegmentation, cases), strict=True):
        stated = CompressedSegmentation().memory(case.shape, np.dtype(case.dtype))
        assert peak <= stated + SLACK, case
