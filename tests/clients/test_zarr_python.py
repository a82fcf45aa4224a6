"""zarr-python reads OME-Zarr of both versions: arrays, labels and compressors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorstore as ts
import zarr

from tests.fixtures.channels import LABELS
from tests.fixtures.zarr_versions import VERSIONS, both

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


# zarr, fsspec and dask warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@both
@pytest.mark.reads("zarr-python", "{prefix}")
def test_every_mip_is_the_same(channel: Channel, prefix: str) -> None:

    _, number = VERSIONS[prefix]
    group = zarr.open_group(channel.url(prefix), mode="r", zarr_format=number)
    assert sorted(name for name, _ in group.arrays()) == [str(mip) for mip in channel.mips]
    found = zarr.open(channel.url(prefix), mode="r")
    for mip in channel.mips:
        assert np.array_equal(found[str(mip)][:], channel.at_mip(mip))


@both
@pytest.mark.reads("zarr-python", "{prefix}")
def test_an_array_opens_alone(seg: Channel, prefix: str) -> None:

    array = zarr.open_array(f"{seg.url(prefix)}/1", mode="r")
    assert array.metadata.zarr_format == VERSIONS[prefix][1]
    assert np.array_equal(array[10:20, 30:, 100], seg.at_mip(1)[10:20, 30:, 100])


@both
@pytest.mark.reads("zarr-python", "{prefix}")
def test_labels_are_in_the_consolidated_metadata(
    em: Channel, fib25_served: dict[str, Channel], prefix: str
) -> None:

    group = zarr.open_consolidated(em.url(prefix), zarr_format=VERSIONS[prefix][1])
    assert sorted(name for name, _ in group.groups()) == ["labels"]
    for name in LABELS:
        array = group[f"labels/{name}/1"]
        assert np.array_equal(array[:20], fib25_served[name].at_mip(1)[:20])


@both
@pytest.mark.parametrize("compressor", ["zstd", "blosc"])
@pytest.mark.reads("zarr-python", "{prefix}")
def test_the_address_chooses_the_compressor(channel: Channel, prefix: str, compressor: str) -> None:

    group = zarr.open_group(f"{channel.url(prefix)}/{compressor}", mode="r")
    (codec,) = group["0"].compressors
    assert compressor in str(codec).lower()
    for mip in channel.mips:
        assert np.array_equal(group[str(mip)][:], channel.at_mip(mip))
        store = ts.open(f"{channel.url(prefix)}/{compressor}/{mip}/").result()
        assert np.array_equal(store.read().result(), channel.at_mip(mip))
