"""worldarray reads every protocol of arrays, each voxel in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import worldarray

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel

LEVELS = {"zarr": "{mip}", "zarr3": "{mip}", "n5": "s{mip}", "pre": "{mip}"}


@pytest.mark.parametrize(
    ("prefix", "protocol"),
    [("zarr", "zarr"), ("zarr3", "zarr3"), ("n5", "n5"), ("pre", "precomputed raw")],
)
@pytest.mark.reads("worldarray", "{protocol}")
def test_every_mip_is_placed(channel: Channel, prefix: str, protocol: str) -> None:
    url = channel.url(prefix)
    for mip in channel.mips:
        volume = worldarray.open(url, level=LEVELS[prefix].format(mip=mip))
        size, voxels = channel.scale(mip), channel.at_mip(mip)
        np.testing.assert_allclose(volume.voxel_size, size)
        corner = channel.origin(mip) * size
        np.testing.assert_allclose(volume.corner, corner, atol=1e-9)
        np.testing.assert_allclose(volume.translation, corner + size / 2)
        assert volume.axes == ("z", "y", "x")
        # A box in nanometres, of the voxels whose centres are in it.
        start = corner + size * 0.25
        found = volume.read((start, start + size * (4, 9, 11)))
        assert np.array_equal(found, voxels[:4, :9, :11])
        assert np.array_equal(volume.read_index((0, 0, 0), voxels.shape), voxels)


@pytest.mark.parametrize("prefix", ["zarr", "zarr3"])
@pytest.mark.reads("worldarray", "{prefix}")
def test_an_array_alone_has_the_place_of_its_group(seg: Channel, prefix: str) -> None:
    found = worldarray.metadata(f"{seg.url(prefix)}/1")
    np.testing.assert_allclose(found.voxel_size, seg.scale(1))
    np.testing.assert_allclose(found.corner, seg.origin(1) * seg.scale(1))
