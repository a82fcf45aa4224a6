"""``/api``: lists, metadata, all formats and views, and error messages."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import yaml

from bfly import registry
from bfly.protocols.api import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat"}
BOX = {"x": 3, "y": 5, "z": 1, "width": 20, "height": 10}


@pytest.fixture(scope="module")
def volumes() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "em": random.integers(0, 255, (6, 40, 50), np.uint8),
        "deep": random.integers(0, 65535, (6, 40, 50)).astype(np.uint16),
        "prob": random.random((6, 40, 50)).astype(np.float32),
        "seg": random.integers(2**60, 2**60 + 5, (6, 40, 50)).astype(np.uint64),
    }


@pytest.fixture(scope="module")
def client(volumes, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("api")
    channels = []
    for name, volume in volumes.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=volume)
        channels.append({"name": name, "path": str(folder / f"{name}.h5")})
    channels[1]["kind"] = "image"
    with serve(make_tree(*channels, **{"max-cutout-size": 1})) as client:
        yield client


def get(client: httpx.Client, **words: object) -> httpx.Response:
    return client.get("/api/data", params={**AT, **BOX, "channel": "em", **words})


def cut(volume: np.ndarray, depth: int = 1) -> np.ndarray:
    return volume[1 : 1 + depth, 5:15, 3:23]


def test_lists(client) -> None:
    assert client.get("/api/experiments").json() == ["exp"]
    assert client.get("/api/samples?experiment=exp").json() == ["sam"]
    assert client.get("/api/datasets?experiment=exp&sample=sam").json() == ["dat"]
    got = client.get("/api/channels", params=AT)
    assert got.json() == ["em", "deep", "prob", "seg"]
    assert got.headers["content-type"] == "application/json"
    got = client.get("/api/channels", params={**AT, "format": "yaml"})
    assert yaml.safe_load(got.text) == ["em", "deep", "prob", "seg"]
    assert got.headers["content-type"] == "application/yaml"


def test_metadata(client) -> None:
    got = client.get("/api/channel_metadata", params={**AT, "channel": "seg"}).json()
    assert got.pop("path").endswith("seg.h5")
    assert got == {
        "source-type": "hdf5",
        "data-type": "uint64",
        "dimensions": {"x": 50, "y": 40, "z": 6},
        "voxel-size": {"z": 1, "y": 1, "x": 1},
        "voxel-size-source": "assumed",
        "name": "seg",
        "segments": {
            **{"can_be_listed": True, "index": None, "meshes": "computed", "skeletons": "computed"}
        },
    }


@pytest.mark.parametrize("name", ["em", "deep", "prob", "seg"])
@pytest.mark.parametrize("method", ["data", "mask"])
def test_lossless_volumes(client, volumes, name: str, method: str) -> None:
    words = {**AT, **BOX, "channel": name, "depth": 4}
    expected = cut(volumes[name], 4)

    def body(fmt: str) -> bytes:
        return client.get(f"/api/{method}", params={**words, "format": fmt}).content

    assert body("raw") == expected.tobytes()
    assert zlib.decompress(body("zip")) == expected.tobytes()
    array = np.load(io.BytesIO(zlib.decompress(body("npz"))))
    assert array.dtype == expected.dtype
    assert np.array_equal(array, expected[None])
    array = np.load(io.BytesIO(body("npy")))
    assert array.dtype == expected.dtype
    assert np.array_equal(array, expected)
    for fmt in ("tif", "tiff"):
        page = tifffile.imread(io.BytesIO(body(fmt)))
        assert page.dtype == expected.dtype
        assert np.array_equal(page, np.concatenate(list(expected)))
    pages = tifffile.imread(io.BytesIO(body("tiff-stack")))
    assert pages.dtype == expected.dtype
    assert np.array_equal(pages, expected)


def test_pictures_of_an_image(client, volumes) -> None:
    expected = cut(volumes["em"])[0]
    png = get(client)
    assert png.headers["content-type"] == "image/png"
    assert np.array_equal(imagecodecs.png_decode(png.content), expected)
    assert np.array_equal(imagecodecs.bmp_decode(get(client, format="bmp").content), expected)
    for fmt in ("jpg", "jpeg"):
        got = get(client, format=fmt)
        assert got.headers["content-type"] == "image/jpeg"
        picture = imagecodecs.jpeg8_decode(got.content).astype(int)
        assert np.sqrt(((picture - expected) ** 2).mean()) < 12
    rgb = imagecodecs.png_decode(get(client, view="rgb").content)
    assert np.array_equal(rgb, np.repeat(expected[..., None], 3, -1))
    deep = imagecodecs.png_decode(get(client, channel="deep").content)
    assert np.array_equal(deep, cut(volumes["deep"])[0])


def test_a_deep_picture_stacks_its_sections_downwards(client, volumes) -> None:
    picture = imagecodecs.png_decode(get(client, depth=3).content)
    assert np.array_equal(picture, cut(volumes["em"], 3).reshape(30, 20))


def test_pictures_of_labels(client, volumes) -> None:
    labels = cut(volumes["seg"])[0]
    rgb = imagecodecs.png_decode(get(client, channel="seg", view="rgb").content).astype(np.uint64)
    carried = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
    assert np.array_equal(carried, labels & 0xFFFFFF)
    colours = imagecodecs.png_decode(get(client, channel="seg", view="colormap").content)
    fallback = imagecodecs.png_decode(get(client, channel="seg").content)
    assert np.array_equal(colours, fallback)
    assert len({tuple(c) for c in colours.reshape(-1, 3)}) == len(np.unique(labels))


def test_boxes_may_lie_outside(client, volumes) -> None:
    got = get(client, x=-5, y=-5, z=5, depth=3, width=10, height=10, format="raw")
    expected = np.zeros((3, 10, 10), np.uint8)
    expected[0, 5:, 5:] = volumes["em"][5, :5, :5]
    assert got.content == expected.tobytes()
    assert not any(get(client, x=10**6, format="raw").content)


def test_coarser_mips(client, volumes) -> None:
    got = get(client, x=0, y=0, z=0, width=25, height=20, resolution=1, format="raw").content
    mean = volumes["em"][0].reshape(20, 2, 25, 2).mean(axis=(1, 3))
    assert np.array_equal(np.frombuffer(got, np.uint8).reshape(20, 25), np.rint(mean))


BAD = {
    "unknown experiment": ({"experiment": "foo"}, 400, "The experiment foo is not in ['exp']."),
    "unknown sample": ({"sample": "foo"}, 400, "The sample foo is not in ['sam']."),
    "unknown dataset": ({"dataset": "foo"}, 400, "The dataset foo is not in ['dat']."),
    "no experiment": (
        {"experiment": None},
        400,
        "The experiment is missing; it is one of ['exp'].",
    ),
    "unknown channel": (
        {"channel": "foo"},
        400,
        "The channel foo is not in ['em', 'deep', 'prob', 'seg'].",
    ),
    "text for x": ({"x": "here"}, 400, "The x here is not an integer."),
    "a fraction for y": ({"y": "1.5"}, 400, "The y 1.5 is not an integer."),
    "no width": ({"width": None}, 400, "The width None is not an integer."),
    "negative width": ({"width": -3}, 400, "The width -3 is not from 1 to 9007199254740992."),
    "no height at all": ({"height": 0}, 400, "The height 0 is not from 1 to 9007199254740992."),
    "negative resolution": ({"resolution": -1}, 400, "The resolution -1 is not from 0 to 31."),
    "unknown format": (
        {"format": "gif"},
        400,
        f"The format gif is not in {list(registry.names('encoders'))}.",
    ),
    "unknown view": (
        {"view": "x"},
        400,
        "The view x is not in ['grayscale', 'colormap', 'rgb'].",
    ),
    "huge cutout": (
        {"width": 10**9, "height": 10**9},
        413,
        "The cutout of (1, 1000000000, 1000000000) voxels (depth, height, width) at "
        "resolution 0 takes "
        "1000000000000000000 bytes; max-cutout-size is 1048576.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(client, case: str) -> None:
    change, status, message = BAD[case]
    words = {**AT, **BOX, "channel": "em", **change}
    words = {name: value for name, value in words.items() if value is not None}
    got = client.get("/api/data", params=words)
    assert (got.status_code, got.text) == (status, f"{message}\n")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"


def test_unknown_pages(client) -> None:
    got = client.get("/api/foo")
    assert (got.status_code, got.text) == (400, f"The method foo is not in {[*METHODS]}.\n")
    assert client.get("/foo").status_code == 404
    got = client.get("/api/channels?experiment=exp")
    assert (got.status_code, got.text) == (400, "The sample is missing.\n")
    got = client.get("/api/experiments?format=xml")
    assert (got.status_code, got.text) == (400, "The format xml is not in ['json', 'yaml'].\n")


def test_health(client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/healthz/x").status_code == 404
