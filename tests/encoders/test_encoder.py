import numpy as np
import pytest

from bfly.encoders.encoder import Encoder, raw_bytes
from bfly.registry import ENCODERS, load


@pytest.mark.parametrize("name", ENCODERS)
def test_every_name_in_the_table_is_an_encoder(name):
    encoder = load("encoders", name)
    assert issubclass(encoder, Encoder)
    dtype = np.uint64 if name == "compressed_segmentation" else np.uint8
    assert len(encoder().encode(np.ones((2, 3, 4), dtype)))


@pytest.mark.parametrize(("name", "same"), [("jpg", "jpeg"), ("tif", "tiff")])
def test_short_names(name, same):
    assert load("encoders", name) is load("encoders", same)


def test_raw_bytes_are_little_endian():
    assert bytes(raw_bytes(np.array([0x0102], ">u2"))) == b"\x02\x01"


def test_an_encoder_that_says_nothing_is_taken_to_need_four_times_the_voxels():
    class Plain(Encoder):
        def encode(self, voxels, *, view="grayscale", kind="image"):
            return b""

    assert Plain().memory((2, 3, 4), np.dtype("u2")) == 4 * 48
    assert Plain().memory((2, 3, 4), np.dtype("u2"), part=10) == 40
    assert Plain().check((2, 3, 4), np.dtype("u2")) is None
