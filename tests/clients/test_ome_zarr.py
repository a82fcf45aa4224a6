"""ome-zarr and ome-zarr-models read volumes and the labels of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import ome_zarr_models
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Labels, Multiscales, Reader

from tests.fixtures.channels import LABELS
from tests.fixtures.zarr_versions import VERSIONS, both

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


# zarr, fsspec and dask warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@both
@pytest.mark.reads("ome-zarr", "{prefix}")
def test_ome_zarr_finds_the_multiscales(channel: Channel, prefix: str) -> None:

    node = next(Reader(parse_url(channel.url(prefix)))())
    assert node.load(Multiscales)
    assert bool(node.load(Label)) == (channel.kind == "segmentation")
    assert len(node.data) == len(channel.mips)
    for mip, data in enumerate(node.data):
        assert np.array_equal(data.compute(), channel.at_mip(mip))
    scale, translation = node.metadata["coordinateTransformations"][-1]
    mip = channel.mips[-1]
    np.testing.assert_allclose(scale["scale"], channel.scale(mip))
    first = (channel.origin(mip) + 0.5) * channel.scale(mip)
    np.testing.assert_allclose(translation["translation"], first)


@both
@pytest.mark.reads("ome-zarr", "{prefix}")
def test_ome_zarr_finds_the_labels_of_an_image(
    em: Channel, fib25_served: dict[str, Channel], prefix: str
) -> None:

    image, labels, *each = Reader(parse_url(em.url(prefix)))()
    assert labels.load(Labels)
    assert image.metadata["name"] == "grayscale"
    assert [node.metadata["name"] for node in each] == LABELS
    for node, name in zip(each, LABELS, strict=True):
        assert node.load(Label)
        for mip, data in enumerate(node.data):
            assert np.array_equal(data.compute(), fib25_served[name].at_mip(mip))


@both
@pytest.mark.reads("ome-zarr-models", "{prefix}")
def test_ome_zarr_models_accepts_it(channel: Channel, prefix: str) -> None:

    version, number = VERSIONS[prefix]
    group = zarr.open_group(channel.url(prefix), mode="r", zarr_format=number)
    model = ome_zarr_models.open_ome_zarr(group)
    kind = "ImageLabel" if channel.kind == "segmentation" else "Image"
    assert (type(model).__name__, model.ome_zarr_version) == (kind, version)


@both
@pytest.mark.reads("ome-zarr-models", "{prefix}")
def test_ome_zarr_models_accepts_the_labels(em: Channel, prefix: str) -> None:

    version, number = VERSIONS[prefix]
    for consolidated in (True, False):
        group = zarr.open_group(
            em.url(prefix), mode="r", zarr_format=number, use_consolidated=consolidated
        )
        found = group["labels"]
        model = ome_zarr_models.open_ome_zarr(found)
        assert (type(model).__name__, model.ome_zarr_version) == ("Labels", version)
        words = model.attributes if prefix == "zarr" else model.attributes.ome
        assert words.labels == LABELS
        for name in LABELS:
            label = ome_zarr_models.open_ome_zarr(found[name])
            assert type(label).__name__ == "ImageLabel"
            attributes = label.attributes if prefix == "zarr" else label.attributes.ome
            assert attributes.image_label.source.image == "../../"
            assert len(attributes.multiscales[0].datasets) == len(em.mips)
