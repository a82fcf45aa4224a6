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
