import compressed_segmentation
import numpy as np
import pytest

from bfly.encoders.compressed_segmentation import CompressedSegmentation
from bfly.errors import BadRequest


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


def test_other_dtypes_are_refused():
    with pytest.raises(BadRequest, match="uint8; compressed_segmentation holds uint32 and uint64"):
        CompressedSegmentation().encode(np.zeros((1, 1, 1), np.uint8))
