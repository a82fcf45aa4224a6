import io

import numpy as np

from bfly.encoders.npy import Npy
from bfly.testing.encoders import EncoderSuite


class TestNpy(EncoderSuite):
    encoder = Npy
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        return np.load(io.BytesIO(data), allow_pickle=False)


def test_the_file_is_the_one_that_numpy_writes():
    voxels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    file = io.BytesIO()
    np.save(file, voxels)
    assert bytes(Npy().encode(voxels)) == file.getvalue()
