"""TensorStore reads zarr, N5 and precomputed volumes, by driver and by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorstore as ts

from tests.fixtures.encodings import assert_near, every_encoding
from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


@both
@pytest.mark.reads("TensorStore", "{prefix}")
def test_zarr_is_the_same(channel: Channel, prefix: str) -> None:
    for mip in channel.mips:
        url = f"{channel.url(prefix)}/{mip}/"
        store = ts.open({"driver": prefix, "kvstore": url}).result()
        assert np.array_equal(store.read().result(), channel.at_mip(mip))
        if prefix == "zarr3":
            assert store.domain.labels == tuple("zyx")
            sizes = [(float(size), "nm") for size in channel.scale(mip)]
            assert [(u.multiplier, u.base_unit) for u in store.dimension_units] == sizes


@both
@pytest.mark.reads("TensorStore, by itself", "{prefix}")
def test_zarr_is_detected(channel: Channel, prefix: str) -> None:
    for mip in channel.mips:
        store = ts.open(f"{channel.url(prefix)}/{mip}/").result()
        assert store.spec().to_json()["driver"] == prefix
        assert np.array_equal(store.read().result(), channel.at_mip(mip))


@pytest.mark.reads("TensorStore", "n5")
def test_n5_is_the_same(channel: Channel) -> None:
    for mip in channel.mips:
        spec = {"driver": "n5", "kvstore": f"{channel.url('n5')}/s{mip}/"}
        store = ts.open(spec).result()
        assert np.array_equal(store.read().result().T, channel.at_mip(mip))
        assert store.domain.labels == ("x", "y", "z")
        sizes = [(float(size), "nm") for size in channel.scale(mip)[::-1]]
        assert [(u.multiplier, u.base_unit) for u in store.dimension_units] == sizes


@pytest.mark.reads("TensorStore, by itself", "n5")
def test_n5_is_detected(channel: Channel) -> None:
    for mip in channel.mips:
        store = ts.open(f"{channel.url('n5')}/s{mip}/").result()
        assert store.spec().to_json()["driver"] == "n5"
        assert np.array_equal(store.read().result().T, channel.at_mip(mip))


@pytest.mark.reads("TensorStore", "precomputed {encoding}")
@every_encoding
def test_precomputed_is_the_same(channel: Channel, encoding: str) -> None:
    for mip in channel.mips:
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": f"{channel.url('pre')}/{encoding}/",
            "scale_index": mip,
        }
        store = ts.open(spec).result()
        assert store.domain.origin[:3] == tuple(channel.origin(mip)[::-1])
        assert_near(store.read().result()[..., 0].T, channel.at_mip(mip), encoding)


@pytest.mark.reads("TensorStore, by itself", "precomputed {encoding}")
@every_encoding
def test_precomputed_is_detected(channel: Channel, encoding: str) -> None:
    store = ts.open(f"{channel.url('pre')}/{encoding}/").result()
    assert store.spec().to_json()["driver"] == "neuroglancer_precomputed"
    assert_near(store.read().result()[..., 0].T, channel.voxels, encoding)
