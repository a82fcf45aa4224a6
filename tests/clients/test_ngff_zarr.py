"""ngff-zarr reads both versions of OME-Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ngff_zarr
import numpy as np
import pytest

from tests.fixtures.zarr_versions import VERSIONS, both

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


# dask and itkwasm warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@both
@pytest.mark.reads("ngff-zarr", "{prefix}")
def test_every_mip_has_its_scale_and_translation(channel: Channel, prefix: str) -> None:
    version, _ = VERSIONS[prefix]
    found = ngff_zarr.from_ngff_zarr(channel.url(prefix), version=version)
    assert len(found.images) == len(channel.mips)
    for mip, image in zip(channel.mips, found.images, strict=True):
        assert image.dims == ("z", "y", "x")
        assert set(image.axes_units.values()) == {"nanometer"}
        size = channel.scale(mip)
        np.testing.assert_allclose([image.scale[axis] for axis in "zyx"], size)
        centre = (channel.origin(mip) + 0.5) * size
        np.testing.assert_allclose([image.translation[axis] for axis in "zyx"], centre)
        assert np.array_equal(np.asarray(image.data), channel.at_mip(mip))


@both
@pytest.mark.reads("ngff-zarr", "{prefix}")
def test_an_image_has_its_contrast(em: Channel, prefix: str) -> None:
    found = ngff_zarr.from_ngff_zarr(em.url(prefix))
    (shown,) = found.metadata.omero.channels
    assert shown.label == "grayscale"
    assert (shown.window.min, shown.window.max) == (0, 255)
    assert 0 < shown.window.start < shown.window.end < 255
