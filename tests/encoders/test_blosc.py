import pickle

import blosc
import numpy as np
import pytest

from bfly.encoders.blosc import LARGEST, Blosc, BloscArray
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestBlosc(EncoderSuite):
    encoder = Blosc
    media_type = "application/blosc"

    def decode(self, data, shape, dtype):
        return np.frombuffer(blosc.decompress(data), dtype).reshape(shape)


class TestBloscArray(EncoderSuite):
    encoder = BloscArray
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        array = blosc.unpack_array(data)
        assert array.shape == (1, *shape)
        return array[0]


@pytest.mark.parametrize("encoder", [Blosc, BloscArray])
def test_more_than_a_frame_holds_is_refused(encoder) -> None:
    with pytest.raises(BadRequest, match="Blosc holds at most"):
        encoder().encode(np.broadcast_to(np.uint8(0), (1, 1, LARGEST + 1)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (3, 300, 400)])
@pytest.mark.parametrize("dtype", ["u1", "u8", "f4"])
def test_a_pickle_is_the_one_that_python_makes(shape, dtype) -> None:
    voxels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    pickled = blosc.decompress(BloscArray().encode(voxels))
    found = pickle.loads(pickled)
    assert found.dtype == voxels.dtype
    assert found.flags.c_contiguous
    assert np.array_equal(found, voxels[np.newaxis])
