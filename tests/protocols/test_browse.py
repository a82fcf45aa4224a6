"""Requests of the pages: lists without opening a file, facts, thumbnails, contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.encoders.views import colormap
from bfly.queries.overview import contrast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

SHAPE = (9, 300, 200)
KINDS = ("image", "segmentation")


@pytest.fixture(scope="module")
def volumes() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    em = random.integers(1000, 3000, SHAPE).astype("u2")
    em[:, :50] = 0
    seg = np.repeat(np.repeat(random.integers(0, 2**63, (9, 30, 20), "u8"), 10, 1), 10, 2)
    return {"em": em, "seg": seg, "large": np.zeros((2, 3000, 2500), "u1")}


@pytest.fixture(scope="module")
def client(volumes, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("browse")
    for name, volume in volumes.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=volume, chunks=(1, 64, 64), compression="gzip")
    (folder / "broken.h5").write_bytes(b"no HDF5")
    channels = [{"name": n, "path": str(folder / f"{n}.h5")} for n in (*volumes, "broken")]
    channels[0] |= {"kind": "image", "voxel_size": [40, 4, 4], "voxel_offset": [1, 2, 3]}
    channels[0] |= {"short-description": "EM of a cube"}
    channels.append({"name": "gone", "path": str(folder / "gone.h5")})
    with serve(make_tree(*channels)) as client:
        yield client


def test_the_list_names_all_without_opening_any(client, monkeypatch) -> None:
    monkeypatch.setattr("bfly.volumes.volume.Volume.open", None)
    (dataset,) = client.get("/browse").json()["datasets"]
    assert [dataset[key] for key in ("experiment", "sample", "dataset")] == ["exp", "sam", "dat"]
    names = [channel["name"] for channel in dataset["channels"]]
    assert names == ["em", "seg", "large", "broken", "gone"]
    assert dataset["channels"][0]["description"] == "EM of a cube"


def test_a_channel_says_what_it_is(client) -> None:
    assert client.get("/browse/exp::sam::dat/em").json() == {
        "name": "em",
        "format": "hdf5",
        "kind": "image",
        "kind_source": "config",
        "kind_doubt": "",
        "dtype": "uint16",
        "stored_dtype": "uint16",
        "size": [200, 300, 9],
        "voxel_offset": [3, 2, 1],
        "voxel_size": [4, 4, 40],
        "mips": [[200, 300, 9], [101, 150, 9], [51, 76, 9], [26, 38, 9]],
        "annotations": [],
        "segments": None,
        "table": None,
    }
    seg = client.get("/browse/exp::sam::dat/seg").json()
    assert (seg["voxel_size"], seg["kind"], seg["kind_doubt"]) == (None, "segmentation", "")
    assert seg["kind_source"].startswith("voxels: ")
    assert seg["table"] == "seg"
    large = client.get("/browse/exp::sam::dat/large").json()
    assert (large["kind"], large["kind_source"]) == ("image", "dtype: uint8")
    assert large["kind_doubt"] == "the voxels looked at are all 0"


def test_a_mask_is_visible_as_either_kind(tmp_path, serve, make_tree) -> None:
    mask = np.zeros((3, 200, 200), "u1")
    mask[:, 40:160, 30:170] = 255
    np.save(tmp_path / "m.npy", mask)
    shown = [{"name": kind, "path": str(tmp_path / "m.npy"), "kind": kind} for kind in KINDS]
    with serve(make_tree(*shown)) as client:
        for kind in KINDS:
            place = f"/browse/exp::sam::dat/{kind}"
            assert client.get(f"{place}/contrast").json()["range"] == [0, 255]
            picture = imagecodecs.webp_decode(client.get(f"{place}/thumbnail").content)
            assert picture[100, 100, :3].max() > 90
            assert picture[10, 10, :3].max() < 20


@pytest.mark.parametrize(
    ("name", "reason"), [("broken", "is none of the formats"), ("gone", "not exist")]
)
@pytest.mark.parametrize("part", ["", "/thumbnail", "/contrast"])
def test_a_broken_channel_says_why(client, name, reason, part) -> None:
    got = client.get(f"/browse/exp::sam::dat/{name}{part}")
    assert got.status_code == 503
    assert reason in got.text
    assert str(name) in got.text


def test_a_dataset_counts_its_neurons_and_synapses(client) -> None:
    assert client.get("/browse/exp::sam::dat").json() == {"neurons": 0, "synapses": 0}


def test_a_thumbnail_is_the_middle_section_in_its_own_contrast(client, volumes) -> None:
    picture = imagecodecs.webp_decode(client.get("/browse/exp::sam::dat/em/thumbnail").content)
    assert picture.shape[:2] == SHAPE[1:]
    grey = picture[..., 0].astype(float)
    low, high = contrast(volumes["em"][4])
    expected = np.clip((volumes["em"][4].astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(grey - expected).mean() < 25
    assert grey[60:].std() > 50


def test_a_thumbnail_of_labels_is_coloured(client, volumes) -> None:
    picture = imagecodecs.webp_decode(client.get("/browse/exp::sam::dat/seg/thumbnail").content)
    expected = colormap(volumes["seg"][4], "segmentation")
    middles = picture[5::10, 5::10, :3].astype(int) - expected[5::10, 5::10]
    assert np.abs(middles).mean() < 25


def test_a_thumbnail_of_a_large_section_is_small_and_reads_a_part(client) -> None:
    got = client.get("/browse/exp::sam::dat/large/thumbnail")
    assert max(imagecodecs.webp_decode(got.content).shape) == 512


def test_contrast_is_what_lies_between_the_rare_levels(client, volumes) -> None:
    low, high = client.get("/browse/exp::sam::dat/em/contrast").json()["range"]
    inside = volumes["em"][4][volumes["em"][4] > 0]
    assert [low, high] == np.percentile(inside, (0.5, 99.5)).tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0], (0, 1)),
        ([7, 7], (0, 7)),
        ([0, 255, 255, 0], (0, 255)),
        ([0, -3, -3], (-3, 0)),
        ([np.nan, 0.25, 0.25, np.inf], (0, 0.25)),
    ],
)
def test_contrast_of_odd_voxels(values, expected) -> None:
    assert contrast(np.array(values)) == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("exp::sam", 404),
        ("exp::sam::none", 400),
        ("exp::sam::dat/none", 400),
        ("exp::sam::dat/em/else", 404),
    ],
)
def test_what_is_not_there(client, path, status) -> None:
    assert client.get(f"/browse/{path}").status_code == status
