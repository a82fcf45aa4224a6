"""DVID's HTTP API: the requests of its clients, and the voxels that they get."""

from __future__ import annotations

import gzip
import hashlib
import struct
from typing import TYPE_CHECKING, Any

import compressed_segmentation
import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.downsample import downsample
from tests.encoders.test_dvid_block import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

SHAPE = (100, 140, 210)
EM = np.random.default_rng(0).integers(1, 255, SHAPE, np.uint8)
IDS = np.random.default_rng(1).integers(2**53, 2**64, 40, np.uint64)
SEG = np.random.default_rng(2).choice(IDS, SHAPE)
DEEP = np.random.default_rng(3).integers(1, 2**16, SHAPE, np.uint16)
FLAT = np.random.default_rng(4).integers(0, 9, SHAPE, np.int32)
PLACE = (4, 10, 7)
BELOW = "below/label/{2}_{1}_{0}".format(*np.argwhere(FLAT < 3)[0])
"""The label of a voxel that is negative."""

CHANNELS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "em": (EM, {"voxel_size": [8, 8, 8]}),
    "seg": (SEG, {"voxel_size": [8, 8, 8], "kind": "segmentation"}),
    "deep": (DEEP, {"voxel_size": [40, 4, 4], "voxel_offset": PLACE, "kind": "image"}),
    "flat": (FLAT, {"voxel_size": [40, 4, 4], "voxel_offset": PLACE, "kind": "segmentation"}),
    "unknown": (EM, {"kind": "image"}),
    "em_1": (EM, {"voxel_size": [8, 8, 8]}),
    "signed": (FLAT.astype(np.int16), {"kind": "image"}),
    "below": (FLAT - 3, {"kind": "segmentation"}),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, serve: Callable) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("dvid")
    channels = []
    for name, (voxels, words) in CHANNELS.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=voxels, chunks=(32, 32, 32), compression="gzip")
        channels.append({"name": name, "path": str(folder / f"{name}.h5"), **words})
    channels.append({"name": "lost", "path": str(folder / "lost.h5")})
    datasets = [
        {"name": "dat", "path": str(folder), "channels": channels},
        {"name": "other", "path": str(folder), "channels": channels[:1]},
    ]
    samples = [{"name": "sam", "datasets": datasets}]
    config = Config.model_validate({"experiments": [{"name": "exp", "samples": samples}]})
    with serve(config) as client:
        yield client


@pytest.fixture(scope="module")
def repositories(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/repos/info")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


@pytest.fixture(scope="module")
def node(repositories: dict[str, Any]) -> str:
    """The address of the version of the dataset with all channels."""
    (uuid,) = (uuid for uuid, repo in repositories.items() if repo["Alias"] == "exp/sam/dat")
    return f"/dvid/api/node/{uuid}"


def padded(voxels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.pad(voxels, [(0, n - m) for n, m in zip(shape, voxels.shape, strict=True)])


def test_the_repositories_are_the_datasets(
    client: httpx.Client, repositories: dict[str, Any]
) -> None:
    assert [repo["Alias"] for repo in repositories.values()] == ["exp/sam/dat", "exp/sam/other"]
    for uuid, repo in repositories.items():
        assert repo["Root"] == uuid
        assert list(repo["DAG"]["Nodes"]) == [uuid]
        assert client.get(f"/dvid/api/repo/{uuid[:8]}/info").json() == repo
        assert client.get(f"/api/repo/{uuid}/branch-versions/master").json() == [uuid]
    assert client.get("/dvid/api/repos/info").json() == repositories
    assert "Butterfly" in client.get("/api/server/info").json()["DVID Version"]


def test_the_instances_are_the_channels_and_scales_of_images(
    repositories: dict[str, Any],
) -> None:
    first, other = repositories.values()
    kinds = {
        name: instance["Base"]["TypeName"] for name, instance in first["DataInstances"].items()
    }
    # em_1 is a channel of its own, which clients would take for a scale of em.
    assert kinds == {
        "em": "uint8blk",
        "seg": "labelmap",
        "deep": "uint16blk",
        "flat": "labelblk",
        "unknown": "uint8blk",
        "below": "labelblk",
    }
    assert "em_1 (its name is that of a scale of em)" in first["Description"]
    assert "signed (an image of int16)" in first["Description"]
    assert list(other["DataInstances"]) == ["em", "em_1", "em_2"]


def test_the_same_names_have_the_same_uuid(repositories: dict[str, Any]) -> None:
    assert next(iter(repositories)) == hashlib.sha256(b"exp::sam::dat").hexdigest()[:32]


def test_info_and_metadata(client: httpx.Client, node: str) -> None:
    info = client.get(f"{node}/deep/info").json()
    extended = info["Extended"]
    assert extended["Values"] == [{"DataType": "uint16", "Label": "uint16blk"}]
    assert (extended["VoxelSize"], extended["VoxelUnits"]) == ([4, 4, 40], ["nanometers"] * 3)
    assert (extended["MinPoint"], extended["MaxPoint"]) == ([7, 10, 4], [216, 149, 103])
    assert info["Extents"] == {"MinPoint": [7, 10, 4], "MaxPoint": [216, 149, 103]}
    assert client.get(f"{node}/seg/info").json()["Extended"]["MaxDownresLevel"] == 2
    assert client.get(f"{node}/unknown/info").json()["Extended"]["VoxelUnits"] == [""] * 3
    axes = client.get(f"{node}/deep/metadata").json()["Axes"]
    assert axes[2] == {
        "Label": "Z",
        "Resolution": 40,
        "Units": "nanometers",
        "Size": 100,
        "Offset": 4,
    }


@pytest.mark.parametrize("name", ["em", "deep", "seg", "flat"])
@pytest.mark.parametrize("compression", ["", "?compression=gzip", "?compression=lz4"])
def test_raw_boxes(client: httpx.Client, node: str, name: str, compression: str) -> None:
    voxels, words = CHANNELS[name]
    voxels = voxels.astype(np.uint64) if words.get("kind") == "segmentation" else voxels
    whole = np.pad(voxels, [(at, 0) for at in words.get("voxel_offset", (0, 0, 0))])
    for z, y, x in ((0, 0, 0), (80, 128, 192), (-3, -4, -5)):
        answer = client.get(f"{node}/{name}/raw/0_1_2/48_40_32/{x}_{y}_{z}{compression}")
        assert answer.headers["content-type"] == "application/octet-stream"
        data = answer.content
        if "gzip" in compression:
            data = gzip.decompress(data)
        elif "lz4" in compression:
            data = imagecodecs.lz4_decode(data, out=48 * 40 * 32 * voxels.itemsize)
        found = np.frombuffer(data, voxels.dtype).reshape(32, 40, 48)
        expected = np.pad(whole, 64)[z + 64 : z + 96, y + 64 : y + 104, x + 64 : x + 112]
        assert np.array_equal(found, expected)
        same = client.get(f"{node}/{name}/isotropic/xyz/48_40_32/{x}_{y}_{z}{compression}")
        assert same.content == answer.content


@pytest.mark.parametrize("scale", [0, 1, 2])
@pytest.mark.parametrize("compression", ["google", "googlegzip"])
def test_labels_in_neuroglancers_compression(
    client: httpx.Client, node: str, scale: int, compression: str
) -> None:
    answer = client.get(
        f"{node}/seg/raw/0_1_2/64_64_64/0_0_0?compression={compression}&scale={scale}"
    )
    found = compressed_segmentation.decompress(
        answer.content, (64, 64, 64), np.uint64, (8, 8, 8), "F"
    ).T
    voxels = downsample(SEG, (0, 0, 0), (2**scale,) * 3, "segmentation") if scale else SEG
    expected = padded(voxels, tuple(max(64, side) for side in voxels.shape))[:64, :64, :64]
    assert struct.unpack_from("<I", answer.content)[0] == 1
    assert np.array_equal(found, expected)


def test_scales_of_an_image_are_instances(client: httpx.Client, repositories: dict) -> None:
    uuid = list(repositories)[1]
    for scale in (1, 2):
        voxels = downsample(EM, (0, 0, 0), (2**scale,) * 3, "image")
        z, y, x = voxels.shape
        answer = client.get(f"/api/node/{uuid}/em_{scale}/raw/0_1_2/{x}_{y}_{z}/0_0_0")
        assert answer.content == voxels.tobytes()
        info = client.get(f"/api/node/{uuid}/em_{scale}/info").json()["Extended"]
        assert info["MaxPoint"] == [x - 1, y - 1, z - 1]
        assert info["VoxelSize"] == [8 * 2**scale] * 3


def test_neuroglancers_jpeg(client: httpx.Client, node: str) -> None:
    answer = client.get(f"{node}/em/raw/0_1_2/64_64_64/0_0_0/jpeg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert imagecodecs.jpeg_decode(answer.content).shape == (64 * 64, 64)
    blocks = client.get(f"{node}/em/subvolblocks/64_64_64/0_64_64").content
    assert struct.unpack_from("<4i", blocks) == (0, 1, 1, len(blocks) - 16)
    assert imagecodecs.jpeg_decode(blocks[16:]).shape == (64 * 64, 64)


def test_sections_in_three_planes(client: httpx.Client, node: str) -> None:
    def picture(path: str) -> np.ndarray:
        answer = client.get(f"{node}/em/{path}")
        assert answer.headers["content-type"] == "image/png"
        return imagecodecs.png_decode(answer.content)

    assert np.array_equal(picture("raw/0_1/60_50/3_4_5"), EM[5, 4:54, 3:63])
    assert np.array_equal(picture("raw/xz/60_50/3_4_5/png"), EM[5:55, 4, 3:63])
    assert np.array_equal(picture("raw/1_2/60_50/3_4_5"), EM[5:55, 4:64, 3])
    jpg = client.get(f"{node}/em/raw/yz/60_50/3_4_5/jpg:80")
    assert imagecodecs.jpeg_decode(jpg.content).shape == (50, 60)


def test_isotropic_sections_repeat_rows(client: httpx.Client, node: str) -> None:
    answer = client.get(f"{node}/deep/isotropic/0_2/60_50/10_20_5")
    picture = imagecodecs.png_decode(answer.content)
    assert picture.shape == (50, 60)
    assert np.array_equal(picture, DEEP[1:6, 10, 3:63].repeat(10, axis=0))
    flat = client.get(f"{node}/deep/isotropic/0_1/60_50/10_20_5").content
    assert flat == client.get(f"{node}/deep/raw/0_1/60_50/10_20_5").content


def test_labels_as_pictures(client: httpx.Client, node: str) -> None:
    colours = imagecodecs.png_decode(client.get(f"{node}/seg/pseudocolor/0_1/60_50/3_4_5").content)
    assert colours.shape == (50, 60, 3)
    refused = client.get(f"{node}/seg/raw/0_1/60_50/3_4_5")
    assert (refused.status_code, "there is no png of them" in refused.text) == (400, True)


def pieces(data: bytes) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    while data:
        *place, size = struct.unpack_from("<3iI", data)
        yield tuple(place), data[16 : 16 + size]
        data = data[16 + size :]


COMPRESSIONS: dict[str, Callable[[bytes], Any]] = {
    "": lambda data: imagecodecs.lz4_decode(data, out=8 * 64**3),
    "lz4": lambda data: imagecodecs.lz4_decode(data, out=8 * 64**3),
    "gzip": gzip.decompress,
    "uncompressed": bytes,
    "blocks": lambda data: decoded(gzip.decompress(data)).tobytes(),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_blocks_of_labels(client: httpx.Client, node: str, compression: str) -> None:
    whole = padded(SEG, (128, 192, 256))
    query = f"?compression={compression}" if compression else ""
    box = dict(pieces(client.get(f"{node}/seg/blocks/128_64_64/128_64_64{query}").content))
    more = f"{query or '?'}&blocks=2,1,1,9,9,9,3,1,1"
    some = dict(pieces(client.get(f"{node}/seg/specificblocks{more}").content))
    assert list(box) == list(some) == [(2, 1, 1), (3, 1, 1)]
    for (x, y, z), data in [*box.items(), *some.items()]:
        found = np.frombuffer(COMPRESSIONS[compression](data), np.uint64).reshape(64, 64, 64)
        start = np.array((z, y, x)) * 64
        assert np.array_equal(found, whole[tuple(slice(n, n + 64) for n in start)])


def test_blocks_of_an_image(client: httpx.Client, node: str) -> None:
    whole = padded(EM, (128, 192, 320))
    for path in ("subvolblocks/128_64_64/0_0_64?", "specificblocks?blocks=0,0,1,1,0,1&"):
        for (x, y, z), data in pieces(
            client.get(f"{node}/em/{path}compression=uncompressed").content
        ):
            assert (y, z) == (0, 1)
            assert data == whole[64:128, :64, x * 64 : x * 64 + 64].tobytes()
    span = client.get(f"{node}/em/blocks/2_1_1/3").content
    parts = [whole[64:128, 64:128, x * 64 : x * 64 + 64].tobytes() for x in (2, 3, 4)]
    assert span == b"".join(parts)


def test_labels_at_points(client: httpx.Client, node: str) -> None:
    assert client.get(f"{node}/seg/label/30_20_10").json() == {"Label": int(SEG[10, 20, 30])}
    points = np.random.default_rng(5).integers(0, SHAPE[::-1], (300, 3))
    # The body of a GET, as dvidtools sends it.
    answer = client.request("GET", f"{node}/seg/labels", json=[*points.tolist(), [-1, 0, 0]])
    assert answer.json() == [*(int(SEG[z, y, x]) for x, y, z in points), 0]
    coarse = downsample(SEG, (0, 0, 0), (2, 2, 2), "segmentation")
    answer = client.request("GET", f"{node}/seg/labels?scale=1", json=[[30, 20, 10]])
    assert answer.json() == [int(coarse[10, 20, 30])]


def test_supervoxels_are_the_labels_as_stored(client: httpx.Client, node: str) -> None:
    import websockets.sync.client as websockets

    base = str(client.base_url).replace("http", "ws")
    first, second = (int(SEG[0, 0, 0]), int(next(n for n in SEG[0, 0] if n != SEG[0, 0, 0])))
    x = int(np.flatnonzero(SEG[0, 0] == second)[0])
    with websockets.connect(f"{base}/ws/exp/sam/dat/seg") as socket:
        socket.recv()
        socket.send(f'{{"action": "save", "merge": [["{first}", "{second}"]], "split": []}}')
        socket.recv()
        merged = client.get(f"{node}/seg/label/{x}_0_0").json()["Label"]
        stored = client.get(f"{node}/seg/label/{x}_0_0?supervoxels=true").json()["Label"]
        assert (merged, stored) == (client.get(f"{node}/seg/label/0_0_0").json()["Label"], second)
        socket.send('{"action": "save", "merge": [], "split": []}')
        socket.recv()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("em_meshes/key/1.ngmesh", 404, "There are no keyvalue instances"),
        ("nothing/info", 404, "There is no instance nothing in exp/sam/dat"),
        ("em/nothing", 404, "only info, metadata, raw"),
        ("signed/info", 404, "is an image of int16; DVID has"),
        ("seg/raw/0_1_2/8_8_8/0_0_0?scale=9", 404, "There is no scale 9"),
        ("flat/raw/0_1_2/8_8_8/0_0_0?scale=1", 404, "There is no scale 1"),
        ("seg/raw/0_1_2/8_8_8/0_0_0?scale=-1", 400, "The scale -1 is not 0 to"),
        ("seg/raw/0_1_2/8_8_8/0_0_0?compression=zip", 400, "The compression zip is not in"),
        ("seg/raw/0_1_2/8_8_8/0_0_0?roi=hemibrain", 400, "no rois are served"),
        ("em/raw/0_1_2/8_8_8/0_0_0?compression=google", 400, "is a compression of labels"),
        ("em/raw/0_1_2/8_8/0_0_0", 400, "'8_8' is not 3 whole numbers"),
        ("em/raw/2_1/8_8/0_0_0", 400, "The dims 2_1 are not in"),
        ("em/raw/0_1/8_8/0_0_0/gif", 400, "The format gif is not png, jpg"),
        ("em/raw/0_1_2/9999_9999_9999/0_0_0", 413, ""),
        ("em/subvolblocks/64_64_63/0_0_0", 400, "multiples of 64"),
        ("em/subvolblocks/-64_-64_64/0_0_0", 400, "multiples of 64"),
        ("em/subvolblocks/640000_640000_64/0_0_0", 400, "blocks are requested"),
        ("seg/blocks/1024_1024_1024/0_0_0", 413, ""),
        ("deep/subvolblocks/64_64_64/0_0_0", 400, "There is no jpeg of uint16"),
        ("em/specificblocks?blocks=1,2", 400, "not x,y,z of each"),
        ("em/specificblocks", 400, "'' is not some whole numbers"),
        ("em/label/1_2_3", 400, "only a segmentation has labels"),
        ("seg/labels", 400, "is not points [[x, y, z], …] in JSON"),
        (BELOW, 400, "is sent as DVID, which holds no int32"),
    ],
)
def test_what_is_refused(
    client: httpx.Client, node: str, path: str, status: int, words: str
) -> None:
    answer = client.get(f"{node}/{path}")
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(
    "body", ["", "{}", "[1]", "[[1, 2]]", "[[1, 2, true]]", "[[1, 2, 1e3]]", "\xff"]
)
def test_points_that_are_none(client: httpx.Client, node: str, body: str) -> None:
    answer = client.request("GET", f"{node}/seg/labels", content=body.encode("latin-1"))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["/dvid", "/dvid/api/node", "/api/node/zz/em/info", "/dvid/api/repos"]
)
def test_what_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_is_written(client: httpx.Client, node: str) -> None:
    answer = client.post(f"{node}/seg/raw/0_1_2/64_64_64/0_0_0", content=b"\0")
    assert (answer.status_code, "served for reading" in answer.text) == (403, True)
    assert client.get("/api/experiments").json() == ["exp"]
