import io

import h5py
import numpy as np
import pytest

from bfly.encoders.hdf5 import LARGEST, Hdf5
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestHdf5(EncoderSuite):
    encoder = Hdf5
    media_type = "application/x-hdf5"

    def decode(self, data, shape, dtype):
        with h5py.File(io.BytesIO(data)) as file:
            assert list(file) == ["main"]
            return file["main"][:]


def test_the_dataset_has_the_name_that_it_is_given() -> None:
    data = Hdf5("em/CUTOUT").encode(np.arange(24, dtype="u2").reshape(2, 3, 4))
    with h5py.File(io.BytesIO(data)) as file:
        assert file["em"]["CUTOUT"][1, 2].tolist() == [20, 21, 22, 23]


def test_more_than_a_chunk_holds_is_refused() -> None:
    with pytest.raises(BadRequest, match="a chunk of HDF5 has at most"):
        Hdf5().encode(np.broadcast_to(np.uint8(0), (1, 1, LARGEST + 1)))
