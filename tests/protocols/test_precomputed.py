"""Precomputed volumes, as the specification has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import tensorstore as ts

from bfly.downsample import downsample

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


OFFSET = (4, 10, 7)
ROOT = "/pre/exp::sam::dat/seg"


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    ids = np.random.default_rng(0).integers(2**53, 2**64, 40, np.uint64)
    return np.random.default_rng(1).choice(ids, (50, 150, 201))


@pytest.fixture(scope="module")
def client(volume, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    path = tmp_path_factory.mktemp("precomputed") / "seg.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=volume, chunks=(32, 32, 32), compression="gzip")
    channel = {
        "name": "seg",
        "path": str(path),
        "voxel_offset": OFFSET,
        "voxel_size": [40, 4, 3.58],
    }
    with serve(make_tree(channel)) as client:
        yield client


def at_mip(volume: np.ndarray, mip: int) -> np.ndarray:
    return volume if mip == 0 else downsample(volume, OFFSET, (1, 2**mip, 2**mip), "segmentation")


def test_info(client) -> None:
    info = client.get(f"{ROOT}/info").json()
    assert info["@type"] == "neuroglancer_multiscale_volume"
    assert (info["type"], info["data_type"], info["num_channels"]) == ("segmentation", "uint64", 1)
    assert [scale["key"] for scale in info["scales"]] == ["0", "1", "2"]
    assert [scale["size"] for scale in info["scales"]] == [
        [201, 150, 50],
        [101, 75, 50],
        [51, 38, 50],
    ]
    assert [scale["voxel_offset"] for scale in info["scales"]] == [[7, 10, 4], [3, 5, 4], [1, 2, 4]]
    resolutions = [scale["resolution"] for scale in info["scales"]]
    assert resolutions == [[3.58, 4, 40], [7.16, 8, 40], [14.32, 16, 40]]
    assert all(scale["chunk_sizes"] == [[32, 32, 32]] for scale in info["scales"])
    assert all(scale["encoding"] == "raw" for scale in info["scales"])


def test_every_chunk_at_every_mip(client, volume) -> None:
    for scale in client.get(f"{ROOT}/info").json()["scales"]:
        mip = int(scale["key"])
        found = np.zeros(scale["size"][::-1], np.uint64)
        (size_x, size_y, size_z), (off_x, off_y, off_z) = scale["size"], scale["voxel_offset"]
        for z in range(0, size_z, 32):
            for y in range(0, size_y, 32):
                for x in range(0, size_x, 32):
                    k, j, i = min(z + 32, size_z), min(y + 32, size_y), min(x + 32, size_x)
                    name = (
                        f"{x + off_x}-{i + off_x}_{y + off_y}-{j + off_y}_{z + off_z}-{k + off_z}"
                    )
                    got = client.get(f"{ROOT}/{mip}/{name}")
                    assert got.status_code == 200, got.text
                    shape = (k - z, j - y, i - x)
                    found[z:k, y:j, x:i] = np.frombuffer(got.content, "<u8").reshape(shape)
        assert np.array_equal(found, at_mip(volume, mip))


@pytest.mark.parametrize(
    "path",
    [
        "0/0-64_0-64_0-64",
        "0/7-71_10-74_4-99",
        "3/0-1_2-3_4-5",
        "40/3-4_5-6_4-5",
        "0/9-8_10-12_4-5",
        "provenance",
        "0/7-71_10-74",
    ],
)
def test_what_is_not_there_is_404(client, path: str) -> None:
    assert client.get(f"{ROOT}/{path}").status_code == 404


def test_wrong_names(client) -> None:
    got = client.get("/pre/exp::sam::dat/foo/info")
    assert (got.status_code, got.text) == (400, "The channel foo is not in ['seg'].\n")
    assert client.get("/pre/exp::sam/seg/info").status_code == 404


@pytest.fixture(scope="module")
def encoded(tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    """Serve an EM-like image and labels of every width, and one with its encoding configured."""
    from bfly.testing.tissue import tissue

    em, segmentation, _ = tissue((40, 150, 170), 0)
    volumes = {
        "em": em,
        "deep": em.astype("u2") * 250,
        "u32": segmentation.astype("u4"),
        "u64": segmentation,
    }
    folder = tmp_path_factory.mktemp("encoded")
    channels = []
    for name, volume in volumes.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=volume)
        channels.append(
            {"name": name, "path": str(folder / f"{name}.h5"), "voxel_offset": [0, 3, 5]}
        )
    channels[1]["kind"] = "image"
    channels.append({**channels[3], "name": "set", "encoding": "compressed_segmentation"})
    with serve(make_tree(*channels)) as client:
        client.volumes = volumes
        yield client


def read_by_tensorstore(client: httpx.Client, path: str, mip: int) -> np.ndarray:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"{client.base_url}/pre/exp::sam::dat/{path}/",
        "scale_index": mip,
    }
    return ts.open(spec).result().read().result()[..., 0].T


@pytest.mark.parametrize("mip", [0, 1])
@pytest.mark.reads("TensorStore", "precomputed png")
def test_png_of_16_bits_carries_the_voxels(encoded, mip) -> None:
    """Not for CloudVolume, which takes every PNG chunk for one of 8 bits."""
    volume = encoded.volumes["deep"]
    expected = volume if mip == 0 else downsample(volume, (0, 3, 5), (1, 2, 2), "image")
    assert np.array_equal(read_by_tensorstore(encoded, "deep/png", mip), expected)


def test_an_encoding_can_be_configured(encoded) -> None:
    info = encoded.get("/pre/exp::sam::dat/set/info").json()
    assert {scale["encoding"] for scale in info["scales"]} == {"compressed_segmentation"}
    assert info["scales"][0]["compressed_segmentation_block_size"] == [8, 8, 8]
    assert np.array_equal(read_by_tensorstore(encoded, "set", 0), encoded.volumes["u64"])
    assert np.array_equal(read_by_tensorstore(encoded, "set/raw", 0), encoded.volumes["u64"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("u64/jpeg", "The encoding jpeg of uint64 (segmentation) is not in ['raw', 'compressed"),
        (
            "em/compressed_segmentation",
            "The encoding compressed_segmentation of uint8 (image) is not in ['raw', 'jpeg'",
        ),
    ],
)
def test_an_encoding_that_does_not_fit_is_404(encoded, path, message) -> None:
    for what in ("info", "0/5-69_3-67_0-40"):
        got = encoded.get(f"/pre/exp::sam::dat/{path}/{what}")
        assert got.status_code == 404
        assert got.text.startswith(message)


def test_numbers_without_end_are_404(client) -> None:
    digits = "9" * 5000
    for path in (
        f"/pre/exp::sam::dat/seg/{digits}/0-1_0-1_0-1",
        f"/tiles/exp::sam::dat/seg/0/0/0/{digits}.png",
    ):
        assert client.get(path).status_code == 404


def test_voxels_decide_the_type_unless_the_encoding_does(tmp_path, serve, make_tree) -> None:
    """Serve EM of 16 bits and a mask of 8: neither has the kind that its dtype suggests."""
    em = np.random.default_rng(0).integers(900, 9000, (4, 128, 128), "u2")
    mask = np.zeros((4, 128, 128), "u1")
    mask[:, 30:90, 20:100] = 255
    for name, voxels in (("a", em), ("b", mask)):
        np.save(tmp_path / f"{name}.npy", voxels)
    paths = {"em": "a", "mask": "b", "grey": "b"}
    channels = [{"name": n, "path": str(tmp_path / f"{p}.npy")} for n, p in paths.items()]
    channels[2]["encoding"] = "jpeg"
    with serve(make_tree(*channels)) as client:

        def at(name: str, rest: str) -> httpx.Response:
            return client.get(f"/pre/exp::sam::dat/{name}/{rest}")

        types = {name: at(name, "info").json()["type"] for name in paths}
        coarse = at("em", "1/0-64_0-64_0-4").content
        chunk = at("grey", "0/0-64_0-64_0-4")
    assert types == {"em": "image", "mask": "segmentation", "grey": "image"}
    mean = downsample(em, (0, 0, 0), (1, 2, 2), "image")
    assert np.array_equal(np.frombuffer(coarse, "<u2"), mean.ravel())
    assert (chunk.status_code, chunk.headers["content-type"]) == (200, "image/jpeg")
