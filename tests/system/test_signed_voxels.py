"""Signed voxels keep their values in every protocol, or are refused with the reason."""

from __future__ import annotations

import io
import json
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest
import tensorstore as ts
import tifffile

from bfly.downsample import downsample
from bfly.encoders.contrast import contrast
from bfly.encoders.views import grayscale

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

SHAPE = (5, 70, 90)
OFFSET = (1, 3, 2)
DTYPES = ("int8", "int16", "int32", "int64")
KINDS = ("image", "segmentation")
AT = "exp::sam::dat"


def drawn(dtype: str, kind: str) -> np.ndarray:
    """Return voxels over the whole range of a dtype; runs of a few values for labels."""
    limits, random = np.iinfo(dtype), np.random.default_rng(0)
    if kind == "image":
        return random.integers(limits.min, limits.max, SHAPE, dtype, endpoint=True)
    ids = np.array([limits.min, -1, 0, 1, 7, limits.max], dtype)
    return random.choice(ids, (5, 14, 18)).repeat(5, axis=1).repeat(5, axis=2)


VOLUMES = {f"{kind}-{dtype}": drawn(dtype, kind) for dtype in DTYPES for kind in KINDS}

POSITIVE = {f"ids-{dtype}": np.abs(VOLUMES[f"segmentation-{dtype}"] >> 1) for dtype in DTYPES}


@pytest.fixture(scope="module")
def client(tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("signed")
    channels = []
    for name, volume in {**VOLUMES, **POSITIVE}.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=volume, chunks=(4, 32, 32), compression="gzip")
        place = {"voxel_offset": OFFSET, "voxel_size": [40, 4, 4]}
        kind = "image" if name.startswith("image") else "segmentation"
        channels.append({"name": name, "path": str(folder / f"{name}.h5"), "kind": kind, **place})
    with serve(make_tree(*channels)) as client:
        yield client


def at_mip(name: str, mip: int) -> np.ndarray:
    volume = {**VOLUMES, **POSITIVE}[name]
    kind = "image" if name.startswith("image") else "segmentation"
    return downsample(volume, OFFSET, (1, 1 << mip, 1 << mip), kind) if mip else volume


def opened(client: httpx.Client, spec: dict[str, Any], path: str) -> Any:
    root = str(client.base_url).rstrip("/")
    return ts.open({**spec, "kvstore": f"{root}/{path}"}, read=True).result()


def cutout(client: httpx.Client, name: str, file: str, mip: int = 0) -> bytes:
    depth, height, width = at_mip(name, mip).shape
    words = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": name}
    words |= {"z": 1, "y": 3 >> mip, "x": 2 >> mip, "resolution": mip, "format": file}
    words |= {"depth": depth, "height": height, "width": width}
    got = client.get("/api/data", params=words)
    assert got.status_code == 200, got.text
    return got.content


def unzipped(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(zlib.decompress(content)))


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


signed = pytest.mark.parametrize("name", VOLUMES)
mips = pytest.mark.parametrize("mip", [0, 1])


@signed
@mips
def test_zarr_and_n5(client, name: str, mip: int) -> None:
    at = f"{AT}/{name}"
    for path in (f"zarr/{at}/{mip}/", f"zarr/{at}/blosc/{mip}/", f"zarr3/{at}/{mip}/"):
        store = opened(client, {"driver": path.partition("/")[0]}, path)
        assert_same(store.read().result(), at_mip(name, mip))
    store = opened(client, {"driver": "n5"}, f"n5/{at}/s{mip}/")
    assert_same(store.read().result().T, at_mip(name, mip))


@mips
@pytest.mark.parametrize("name", [name for name in VOLUMES if "64" not in name])
def test_precomputed(client, name: str, mip: int) -> None:
    spec = {"driver": "neuroglancer_precomputed", "scale_index": mip}
    store = opened(client, spec, f"pre/{AT}/{name}/")
    assert_same(store.read().result()[..., 0].T, at_mip(name, mip))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in VOLUMES if "64" not in name])
def test_cloudvolume(client, name: str) -> None:
    from cloudvolume import CloudVolume

    root = str(client.base_url).rstrip("/")
    remote = CloudVolume(f"precomputed://{root}/pre/{AT}/{name}", progress=False)
    assert_same(np.asarray(remote[:, :, :])[..., 0].T, at_mip(name, 0))


@mips
def test_precomputed_has_no_int64(client, mip: int) -> None:
    """Values from 0 on are sent as uint64; a chunk with a negative one says what is the matter."""
    spec = {"driver": "neuroglancer_precomputed", "scale_index": mip}
    store = opened(client, spec, f"pre/{AT}/ids-int64/")
    assert_same(store.read().result()[..., 0].T, at_mip("ids-int64", mip).astype("u8"))
    for name in ("image-int64", "segmentation-int64"):
        assert client.get(f"/pre/{AT}/{name}/info").json()["data_type"] == "uint64"
        z, y, x = at_mip(name, mip).shape
        k, j, i = 1, 3 >> mip, 2 >> mip
        got = client.get(f"/pre/{AT}/{name}/{mip}/{i}-{i + x}_{j}-{j + y}_{k}-{k + z}")
        assert got.status_code == 400
        lowest = at_mip(name, mip).min()
        assert (
            f"{name}.h5 is sent as precomputed, which holds no int64, and a voxel is {lowest}"
            in (got.text)
        )


def test_a_stored_chunk_is_sent_unless_its_dtype_is_not_that_of_the_format(client) -> None:
    chunk, headers = "raw/0/2-34_3-35_1-5", {"accept-encoding": "deflate"}
    for dtype in DTYPES[:3]:
        got = client.get(f"/pre/{AT}/image-{dtype}/{chunk}", headers=headers)
        assert got.headers["content-encoding"] == "deflate"
        found = np.frombuffer(got.content, dtype).reshape(4, 32, 32)
        assert_same(found, at_mip(f"image-{dtype}", 0)[:4, :32, :32])
    got = client.get(f"/pre/{AT}/ids-int64/{chunk}", headers=headers)
    assert (got.status_code, got.headers.get("content-encoding")) == (200, None)
    assert client.get(f"/pre/{AT}/image-int64/{chunk}", headers=headers).status_code == 400


@mips
@pytest.mark.parametrize("bits", [32, 64])
def test_compressed_segmentation_has_no_sign(client, bits: int, mip: int) -> None:
    spec = {"driver": "neuroglancer_precomputed", "scale_index": mip}
    name = f"ids-int{bits}"
    store = opened(client, spec, f"pre/{AT}/{name}/compressed_segmentation/")
    assert_same(store.read().result()[..., 0].T, at_mip(name, mip).astype(f"uint{bits}"))
    chunk = f"segmentation-int{bits}/compressed_segmentation/0/2-34_3-35_1-3"
    got = client.get(f"/pre/{AT}/{chunk}")
    assert got.status_code == 400
    assert f"holds no int{bits}" in got.text


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_pictures_of_precomputed_have_no_sign(client, encoding: str) -> None:
    got = client.get(f"/pre/{AT}/image-int8/{encoding}/info")
    assert got.status_code == 404
    assert f"The encoding {encoding} of int8 (image) is not in ['raw']" in got.text


def boss(client: httpx.Client, name: str, packed: str) -> httpx.Response:
    (z, y, x), (k, j, i) = at_mip(name, 0).shape, OFFSET
    path = f"/v1/cutout/exp/sam::dat/{name}/0/{i}:{i + x}/{j}:{j + y}/{k}:{k + z}/"
    return client.get(path, headers={"accept": f"application/{packed}"})


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        *((f"image-{dtype}", dtype) for dtype in DTYPES[:3]),
        ("ids-int8", "uint8"),
        ("ids-int16", "uint16"),
        ("ids-int32", "uint64"),
        ("ids-int64", "uint64"),
    ],
)
def test_boss(client, name: str, sent: str) -> None:
    about = client.get(f"/v1/collection/exp/experiment/sam::dat/channel/{name}/").json()
    assert about["datatype"] == sent
    assert_same(unzipped(boss(client, name, "npygz").content), at_mip(name, 0).astype(sent))
    raw = imagecodecs.blosc_decode(boss(client, name, "blosc").content)
    assert raw == at_mip(name, 0).astype(sent).tobytes()


@pytest.mark.parametrize("name", ["image-int64", *(f"segmentation-{d}" for d in DTYPES)])
def test_boss_has_no_negative_labels(client, name: str) -> None:
    lowest = at_mip(name, 0).min()
    for packed in ("npygz", "blosc"):
        got = boss(client, name, packed)
        assert got.status_code == 400
        reason = f"BossDB, which holds no {name.partition('-')[2]}, and a voxel is {lowest};"
        assert f"{name}.h5 is sent as {reason}" in got.text


@signed
@mips
def test_cutouts(client, name: str, mip: int) -> None:
    expected = at_mip(name, mip)
    assert_same(unzipped(cutout(client, name, "npz", mip))[0], expected)
    assert_same(unzipped(cutout(client, name, "npygz", mip)), expected)
    with h5py.File(io.BytesIO(cutout(client, name, "hdf5", mip))) as file:
        assert_same(file["main"][:], expected)
    pages = tifffile.imread(io.BytesIO(cutout(client, name, "tiff-stack", mip)))
    assert_same(pages, expected)
    little = expected.astype(expected.dtype.newbyteorder("<")).tobytes()
    assert cutout(client, name, "raw", mip) == little
    assert zlib.decompress(cutout(client, name, "zip", mip)) == little
    assert imagecodecs.zstd_decode(cutout(client, name, "zstd", mip)) == little


@pytest.mark.parametrize("dtype", DTYPES)
def test_pictures_show_levels_in_order(client, dtype: str) -> None:
    name = f"image-{dtype}"
    levels = np.concatenate(list(grayscale(at_mip(name, 0), "image", 16)))
    assert_same(imagecodecs.png_decode(cutout(client, name, "png")), levels)
    tile = client.get(f"/tiles/{AT}/{name}/0/1/0/0.png").content
    assert_same(imagecodecs.png_decode(tile), levels[: SHAPE[1]])


@signed
def test_ndstore(client, name: str) -> None:
    (z, y, x), (k, j, i) = at_mip(name, 0).shape, OFFSET
    place = f"0/{i},{i + x}/{j},{j + y}/{k},{k + z}"
    found = unzipped(client.get(f"/nd/ca/{AT}/{name}/npz/{place}/").content)
    assert_same(found[0], at_mip(name, 0))
    channel = client.get(f"/nd/ca/{AT}/info/").json()["channels"][name]
    assert channel["datatype"] == f"u{name.partition('-')[2]}"  # NDStore has no others


@signed
def test_the_metadata_of_api_stay_as_documented(client, name: str) -> None:
    words = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": name}
    dtype = name.partition("-")[2]
    assert client.get("/api/channel_metadata", params=words).json()["data-type"] == f"u{dtype}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_page(client, dtype: str) -> None:
    name = f"image-{dtype}"
    assert client.get(f"/browse/{AT}/{name}").json()["dtype"] == dtype
    (section,) = at_mip(name, 0)[2:3]
    low, high = json.loads(client.get(f"/browse/{AT}/{name}/contrast").content)["range"]
    assert (low, high) == contrast(section)
    assert low < 0 < high
    thumbnail = imagecodecs.webp_decode(client.get(f"/browse/{AT}/{name}/thumbnail").content)
    levels = (section.astype(float) - low) * 255 / (high - low)
    assert np.abs(thumbnail[..., 0].astype(int) - np.clip(levels, 0, 255)).mean() < 40


def test_outside_is_0(client) -> None:
    words = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "image-int16"}
    words |= {"z": -5, "y": -9, "x": -9, "width": 4, "height": 4, "format": "npz"}
    assert_same(
        unzipped(client.get("/api/data", params=words).content)[0], np.zeros((1, 4, 4), "i2")
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_ids_of_a_box(client, dtype: str) -> None:
    name = f"segmentation-{dtype}"
    (z, y, x), (k, j, i) = SHAPE, OFFSET
    box = f"0/{i}:{i + x}/{j}:{j + y}/{k}:{k + z}"
    ids = client.get(f"/v1/ids/exp/sam::dat/{name}/{box}/").json()["ids"]
    assert [int(label) for label in ids] == sorted(set(at_mip(name, 0).ravel().tolist()) - {0})
    found = client.get(f"/v1/reserve/exp/sam::dat/{name}/1/")
    limit = np.iinfo(dtype).max
    assert found.json()["start_id"] == limit + 1
    found = client.get(f"/v1/boundingbox/exp/sam::dat/{name}/0/{limit}/?type=tight").json()
    places = np.argwhere(at_mip(name, 0) == limit) + OFFSET
    assert found["x_range"] == [int(places[:, 2].min()), int(places[:, 2].max()) + 1]
