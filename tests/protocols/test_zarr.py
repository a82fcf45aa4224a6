"""OME-Zarr of both versions, as the specifications have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.fixtures.channels import Channel


def group_attributes(channel: Channel, prefix: str) -> dict[str, Any]:
    """Return the OME metadata of either version."""
    if prefix == "zarr":
        return channel.client.get(f"{channel.url(prefix)}/.zattrs").json()
    return channel.client.get(f"{channel.url(prefix)}/zarr.json").json()["attributes"]["ome"]


# Metadata


@both
def test_scales_and_translations_place_the_centres_of_voxels(channel: Channel, prefix: str) -> None:
    (multiscale,) = group_attributes(channel, prefix)["multiscales"]
    assert [(axis["name"], axis["type"], axis["unit"]) for axis in multiscale["axes"]] == [
        (name, "space", "nanometer") for name in "zyx"
    ]
    assert [dataset["path"] for dataset in multiscale["datasets"]] == [str(m) for m in channel.mips]
    for mip, dataset in enumerate(multiscale["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        np.testing.assert_allclose(scale["scale"], channel.scale(mip), rtol=1e-12)
        # The voxels of mip 0 that the first one covers, some of which may not exist.
        factor = np.array(channel.factor(mip))
        first = channel.origin(mip) * factor
        covered = np.stack([first, first + factor - 1])
        centres = (covered + 0.5) * channel.voxel_size
        np.testing.assert_allclose(translation["translation"], centres.mean(axis=0), rtol=1e-12)


@both
def test_labels_say_that_they_are(channel: Channel, prefix: str) -> None:
    assert ("image-label" in group_attributes(channel, prefix)) == (channel.kind == "segmentation")


def test_consolidated_metadata_are_the_metadata(seg: Channel) -> None:
    root = seg.url("zarr")
    consolidated = seg.client.get(f"{root}/.zmetadata").json()
    assert consolidated["zarr_consolidated_format"] == 1
    assert len(consolidated["metadata"]) == 2 + 2 * len(seg.mips)
    for path, document in consolidated["metadata"].items():
        assert seg.client.get(f"{root}/{path}").json() == document
    root = seg.url("zarr3")
    arrays = seg.client.get(f"{root}/zarr.json").json()["consolidated_metadata"]["metadata"]
    assert list(arrays) == [str(mip) for mip in seg.mips]
    for path, document in arrays.items():
        assert seg.client.get(f"{root}/{path}/zarr.json").json() == document


@pytest.mark.parametrize(
    "path",
    [
        "zarr/exp::sam::dat/seg",
        "zarr/exp::sam::dat/.zgroup",
        "zarr/exp::sam::dat/seg/zarr.json",
        "zarr/exp::sam::dat/seg/.zarray",
        "zarr/exp::sam::dat/seg/3/.zarray",
        "zarr/exp::sam::dat/seg/labels/.zgroup",
        "zarr/exp::sam::dat/seg/0/2/0/0",
        "zarr/exp::sam::dat/seg/0/0/5/0",
        "zarr/exp::sam::dat/seg/0/0/0/7",
        "zarr/exp::sam::dat/seg/3/0/0/0",
        "zarr/exp::sam::dat/seg/99/0/0/0",
        "zarr/exp::sam::dat/seg/0/00/0/0",
        "zarr/exp::sam::dat/seg/0/-1/0/0",
        "zarr/exp::sam::dat/seg/0/0.0.0",
        f"zarr/exp::sam::dat/seg/0/0/0/{'9' * 5000}",
        "zarr3/exp::sam::dat/zarr.json",
        "zarr3/exp::sam::dat/seg/.zgroup",
        "zarr3/exp::sam::dat/seg/.zmetadata",
        "zarr3/exp::sam::dat/seg/labels/zarr.json",
        "zarr3/exp::sam::dat/seg/3/zarr.json",
        "zarr3/exp::sam::dat/seg/0/0/0/0",
        "zarr3/exp::sam::dat/seg/0/c/2/0/0",
        "zarr3/exp::sam::dat/seg/3/c/0/0/0",
    ],
)
def test_what_is_not_there_is_404(seg: Channel, path: str) -> None:
    for method in ("HEAD", "GET"):
        assert seg.client.request(method, f"/{path}").status_code == 404


@pytest.mark.parametrize("path", ["zarr/{}/0/0/0/0", "zarr3/{}/0/c/0/0/0", "zarr/{}/.zmetadata"])
def test_head_and_conditions_go_by_one_etag(seg: Channel, path: str) -> None:
    url = "/" + path.format("exp::sam::dat/seg")
    got = seg.client.get(url)
    head = seg.client.head(url)
    assert (head.status_code, head.headers["etag"]) == (200, got.headers["etag"])
    same = {"if-none-match": got.headers["etag"]}
    assert seg.client.get(url, headers=same).status_code == 304


@both
def test_chunks_are_whole_and_padded_with_zeros(seg: Channel, prefix: str) -> None:
    import imagecodecs

    middle = "c/" if prefix == "zarr3" else ""
    data = seg.client.get(f"{seg.url(prefix)}/0/{middle}1/4/6").content
    chunk = np.frombuffer(imagecodecs.zstd_decode(data), np.uint64).reshape(32, 32, 32)
    inside = chunk[: 50 - 32, : 150 - 128, : 200 - 192]
    assert np.array_equal(inside, seg.voxels[32:, 128:, 192:])
    assert np.count_nonzero(chunk) == np.count_nonzero(inside)


# Labels of an image


@both
def test_a_label_image_is_its_channel_and_names_its_image(em: Channel, prefix: str) -> None:
    document = "0/.zarray" if prefix == "zarr" else "0/zarr.json"
    chunk = "0/0/0/0" if prefix == "zarr" else "0/c/0/0/0"
    own = em.url(prefix).replace("grayscale", "groundtruth.h5")
    below = f"{em.url(prefix)}/labels/groundtruth.h5"
    for file in (document, chunk):
        assert em.client.get(f"{below}/{file}").content == em.client.get(f"{own}/{file}").content
    for compressor in ("blosc/", "zstd/"):
        asked = f"{em.url(prefix)}/{compressor}labels/groundtruth.h5/{chunk}"
        same = f"{own}/{compressor}{chunk}"
        assert em.client.get(asked).content == em.client.get(same).content


@pytest.fixture
def mixed(
    tmp_path: Path, random_labels: tuple[Path, np.ndarray], serve: Callable, make_tree: Callable
) -> Iterator[httpx.Client]:
    """An image and what may be its labels, or not."""
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.ones((50, 150, 200), np.uint8)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["main"] = np.ones((50, 60, 60), np.uint64)
    (tmp_path / "broken.h5").write_bytes(b"nothing")
    seg = {"path": str(random_labels[0]), "voxel_size": (40, 4, 4)}
    channels = [
        {"name": "em", "path": str(tmp_path / "em.h5"), "voxel_size": (40, 4, 4)},
        {"name": "coarse", "path": str(tmp_path / "em.h5"), "voxel_size": (40, 8, 8)},
        {"name": "moved", **seg, "voxel_offset": (4, 10, 7)},
        {"name": "finer", **seg, "voxel_size": (20, 4, 4)},
        {"name": "picture", **seg, "kind": "image"},
        {"name": "small", **seg, "path": str(tmp_path / "small.h5")},
        {"name": "broken", **seg, "path": str(tmp_path / "broken.h5")},
    ]
    with serve(make_tree(*channels)) as client:
        yield client


def test_labels_are_segmentations_with_the_resolutions_of_the_image(mixed: httpx.Client) -> None:
    root = "/zarr/exp::sam::dat"
    assert mixed.get(f"{root}/em/labels/.zattrs").json() == {"labels": ["moved"]}
    found = mixed.get("/zarr3/exp::sam::dat/em/labels/zarr.json").json()["attributes"]
    assert found == {"ome": {"version": "0.5", "labels": ["moved"]}}
    for name in ("finer", "picture", "small", "broken", "em", "nobody"):
        assert mixed.get(f"{root}/em/labels/{name}/.zattrs").status_code == 404
    # An image without a label has no group of labels, nor has a segmentation.
    for name in ("coarse", "moved"):
        for file in (".zgroup", ".zattrs", "moved/.zgroup"):
            assert mixed.get(f"{root}/{name}/labels/{file}").status_code == 404
