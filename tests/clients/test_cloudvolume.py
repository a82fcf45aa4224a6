"""CloudVolume reads zarr, N5 and precomputed volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fixtures.encodings import assert_near, every_encoding

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


# CloudVolume and fsspec warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.reads("CloudVolume {scheme}://", "{prefix}")
@pytest.mark.parametrize(
    ("scheme", "prefix"),
    [("zarr", "zarr"), ("zarr", "zarr3"), ("zarr2", "zarr"), ("zarr3", "zarr3")],
)
def test_zarr_is_the_same(channel: Channel, scheme: str, prefix: str) -> None:
    from cloudvolume import CloudVolume

    for mip in channel.mips:
        remote = CloudVolume(f"{scheme}://{channel.url(prefix)}", mip=mip, progress=False)
        np.testing.assert_allclose(remote.resolution, channel.scale(mip)[::-1], rtol=1e-6)
        found = np.asarray(remote[:, :, :])[..., 0].T
        assert np.array_equal(found, channel.as_cloudvolume_counts(mip))


@pytest.mark.reads("CloudVolume n5://", "n5")
def test_n5_is_the_same(channel: Channel) -> None:
    from cloudvolume import CloudVolume

    for mip in channel.mips:
        remote = CloudVolume(f"n5://{channel.url('n5')}", mip=mip, progress=False)
        np.testing.assert_allclose(remote.resolution, channel.scale(mip)[::-1], rtol=1e-6)
        found = np.asarray(remote[:, :, :])[..., 0].T
        # CloudVolume 12 takes big-endian voxels for little-endian ones, of any writer.
        found = found.byteswap()
        assert np.array_equal(found, channel.as_cloudvolume_counts(mip))


@pytest.mark.reads("CloudVolume precomputed://", "precomputed {encoding}")
@every_encoding
def test_precomputed_is_the_same(channel: Channel, encoding: str) -> None:
    from cloudvolume import CloudVolume

    for mip in channel.mips:
        address = f"precomputed://{channel.url('pre')}/{encoding}"
        remote = CloudVolume(address, mip=mip, progress=False)
        expected = channel.at_mip(mip)
        assert remote.bounds.size3().tolist() == list(expected.shape[::-1])
        assert remote.bounds.minpt.tolist() == channel.origin(mip)[::-1].tolist()
        np.testing.assert_allclose(remote.resolution, channel.scale(mip)[::-1], rtol=1e-6)
        assert remote.layer_type == channel.kind
        assert_near(np.asarray(remote[:, :, :])[..., 0].T, expected, encoding)
