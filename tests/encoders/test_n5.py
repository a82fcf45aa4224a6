import gzip

import numpy as np
import tensorstore as ts

from bfly.encoders.n5 import N5Block
from bfly.testing.encoders import EncoderSuite


class TestN5Block(EncoderSuite):
    encoder = N5Block
    media_type = "application/x-n5"

    def decode(self, data, shape, dtype):
        size = [int(n) for n in shape[::-1]]
        metadata = {
            "dimensions": size,
            "blockSize": size,
            "dataType": dtype.name,
            "compression": {"type": "gzip"},
        }
        context = ts.Context()
        kvstore = ts.KvStore.open({"driver": "memory"}, context=context).result()
        kvstore["0/0/0"] = data
        spec = {"driver": "n5", "kvstore": {"driver": "memory"}, "metadata": metadata}
        store = ts.open(spec, create=True, context=context).result()
        return store.read().result().T


def test_the_header_is_the_documented_one():
    block = N5Block().encode(np.array([[[1, 2, 3]]], np.uint16))
    assert block[:16].hex() == "00000003000000030000000100000001"
    assert gzip.decompress(block[16:]).hex() == "000100020003"
    assert block[20:24] == bytes(4), "a time in it would give the same voxels another ETag"
