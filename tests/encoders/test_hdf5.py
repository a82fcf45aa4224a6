import io

import h5py
import numpy as np

from bfly.encoders.hdf5 import Hdf5
from bfly.encoders.strips import STRIP
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


def test_a_chunk_is_no_larger_than_what_is_worked_on_at_once() -> None:
    """A chunk of HDF5 has less than 4 GiB; a dataset of several has no such limit."""
    voxels = np.arange(3 * 700 * 1001, dtype="u4").reshape(3, 700, 1001)
    with h5py.File(io.BytesIO(Hdf5().encode(voxels))) as file:
        assert file["main"].chunks == (1, 700, 1001)
        assert np.array_equal(file["main"][:], voxels)
    with h5py.File(io.BytesIO(Hdf5().encode(np.ones((2, 2, STRIP + 1), "u1")))) as file:
        assert file["main"].chunks == (1, 1, STRIP)
        assert file["main"][:].all()
    with h5py.File(io.BytesIO(Hdf5().encode(np.ones((64, 64, 64), "u8")))) as file:
        assert file["main"].chunks == (64, 64, 64)
