"""OME-Zarr of both versions: what the specifications say, and what the field's programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tensorstore as ts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.fixtures.channels import Channel

VERSIONS = {"zarr": ("0.4", 2), "zarr3": ("0.5", 3)}

# zarr, fsspec, dask and CloudVolume warn of things of their own.
clients = pytest.mark.filterwarnings("ignore")

both = pytest.mark.parametrize("prefix", VERSIONS)


@pytest.fixture
def seg(labels: dict[str, Channel]) -> Channel:
    return labels["seg"]


def group_attributes(channel: Channel, prefix: str) -> dict[str, Any]:
    """Give the OME metadata of either version."""
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


@both
@clients
@pytest.mark.reads("ome-zarr-models", "{prefix}")
def test_ome_zarr_models_accepts_it(channel: Channel, prefix: str) -> None:
    import ome_zarr_models
    import zarr

    version, number = VERSIONS[prefix]
    group = zarr.open_group(channel.quoted(prefix), mode="r", zarr_format=number)
    model = ome_zarr_models.open_ome_zarr(group)
    kind = "ImageLabel" if channel.kind == "segmentation" else "Image"
    assert (type(model).__name__, model.ome_zarr_version) == (kind, version)


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


@pytest.fixture(scope="module")
def em(fib25_served: dict[str, Channel]) -> Channel:
    return fib25_served["grayscale"]


LABELS = ["groundtruth.h5", "oversegmented_stack_labels.h5"]


@both
@clients
@pytest.mark.reads("ome-zarr-models", "{prefix}")
def test_ome_zarr_models_accepts_the_labels(em: Channel, prefix: str) -> None:
    import ome_zarr_models
    import zarr

    version, number = VERSIONS[prefix]
    for consolidated in (True, False):
        group = zarr.open_group(
            em.quoted(prefix), mode="r", zarr_format=number, use_consolidated=consolidated
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


@both
@clients
@pytest.mark.reads("ome-zarr", "{prefix}")
def test_ome_zarr_finds_the_labels_of_an_image(
    em: Channel, fib25_served: dict[str, Channel], prefix: str
) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Labels, Reader

    image, labels, *each = Reader(parse_url(em.quoted(prefix)))()
    assert labels.load(Labels)
    assert image.metadata["name"] == "grayscale"
    assert [node.metadata["name"] for node in each] == LABELS
    for node, name in zip(each, LABELS, strict=True):
        assert node.load(Label)
        for mip, data in enumerate(node.data):
            assert np.array_equal(data.compute(), fib25_served[name].at_mip(mip))


@both
@clients
@pytest.mark.reads("zarr-python", "{prefix}")
def test_labels_are_in_the_consolidated_metadata(
    em: Channel, fib25_served: dict[str, Channel], prefix: str
) -> None:
    import zarr

    group = zarr.open_consolidated(em.quoted(prefix), zarr_format=VERSIONS[prefix][1])
    assert sorted(name for name, _ in group.groups()) == ["labels"]
    for name in LABELS:
        array = group[f"labels/{name}/1"]
        assert np.array_equal(array[:20], fib25_served[name].at_mip(1)[:20])


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
        {"name": "moved", **seg, "offset": (4, 10, 7)},
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


# Compressors


@both
@clients
@pytest.mark.parametrize("compressor", ["zstd", "blosc"])
@pytest.mark.reads("zarr-python", "{prefix}")
def test_the_address_chooses_the_compressor(channel: Channel, prefix: str, compressor: str) -> None:
    import zarr

    group = zarr.open_group(f"{channel.quoted(prefix)}/{compressor}", mode="r")
    (codec,) = group["0"].compressors
    assert compressor in str(codec).lower()
    for mip in channel.mips:
        assert np.array_equal(group[str(mip)][:], channel.at_mip(mip))
        store = ts.open(f"{channel.url(prefix)}/{compressor}/{mip}/").result()
        assert np.array_equal(store.read().result(), channel.at_mip(mip))


# Programs


@both
@clients
@pytest.mark.reads("zarr-python", "{prefix}")
def test_zarr_python_reads_the_same(channel: Channel, prefix: str) -> None:
    import zarr

    _, number = VERSIONS[prefix]
    group = zarr.open_group(channel.quoted(prefix), mode="r", zarr_format=number)
    assert sorted(name for name, _ in group.arrays()) == [str(mip) for mip in channel.mips]
    found = zarr.open(channel.quoted(prefix), mode="r")
    for mip in channel.mips:
        assert np.array_equal(found[str(mip)][:], channel.at_mip(mip))


@both
@clients
@pytest.mark.reads("zarr-python", "{prefix}")
def test_an_array_opens_alone(seg: Channel, prefix: str) -> None:
    import zarr

    array = zarr.open_array(f"{seg.quoted(prefix)}/1", mode="r")
    assert array.metadata.zarr_format == VERSIONS[prefix][1]
    assert np.array_equal(array[10:20, 30:, 100], seg.at_mip(1)[10:20, 30:, 100])


@both
@clients
@pytest.mark.reads("ome-zarr", "{prefix}")
def test_ome_zarr_finds_the_multiscales(channel: Channel, prefix: str) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Multiscales, Reader

    node = next(Reader(parse_url(channel.quoted(prefix)))())
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
@clients
@pytest.mark.reads("dask", "{prefix}")
def test_dask_reads_the_same(channel: Channel, prefix: str) -> None:
    import dask.array

    for mip in channel.mips:
        array = dask.array.from_zarr(channel.quoted(prefix), component=str(mip))
        assert np.array_equal(array.compute(), channel.at_mip(mip))


@both
@pytest.mark.reads("TensorStore", "{prefix}")
def test_tensorstore_reads_the_same(channel: Channel, prefix: str) -> None:
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
def test_tensorstore_detects_the_format(channel: Channel, prefix: str) -> None:
    for mip in channel.mips:
        store = ts.open(f"{channel.url(prefix)}/{mip}/").result()
        assert store.spec().to_json()["driver"] == prefix
        assert np.array_equal(store.read().result(), channel.at_mip(mip))


@clients
@pytest.mark.reads("CloudVolume {scheme}://", "{prefix}")
@pytest.mark.parametrize(
    ("scheme", "prefix"),
    [("zarr", "zarr"), ("zarr", "zarr3"), ("zarr2", "zarr"), ("zarr3", "zarr3")],
)
def test_cloudvolume_reads_the_same(channel: Channel, scheme: str, prefix: str) -> None:
    from cloudvolume import CloudVolume

    for mip in channel.mips:
        remote = CloudVolume(f"{scheme}://{channel.url(prefix)}", mip=mip, progress=False)
        np.testing.assert_allclose(remote.resolution, channel.scale(mip)[::-1], rtol=1e-6)
        found = np.asarray(remote[:, :, :])[..., 0].T
        assert np.array_equal(found, channel.as_cloudvolume_counts(mip))
