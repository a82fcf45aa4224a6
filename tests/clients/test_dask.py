"""Dask reads OME-Zarr of both versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array
import numpy as np
import pytest

from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


# zarr, fsspec and dask warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@both
@pytest.mark.reads("dask", "{prefix}")
def test_every_mip_is_the_same(channel: Channel, prefix: str) -> None:

    for mip in channel.mips:
        array = dask.array.from_zarr(channel.url(prefix), component=str(mip))
        assert np.array_equal(array.compute(), channel.at_mip(mip))
