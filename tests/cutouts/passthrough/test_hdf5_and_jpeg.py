"""Chunks of HDF5 and JPEG files are sent as stored where all fits, and nowhere else."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest
import simplejpeg

from bfly.sources.hdf5.source import HDF5

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


SHAPE = (40, 100, 128)
CHUNK = (32, 64, 64)
WHOLE = "/pre/exp::sam::dat/{}/raw/0/64-128_0-64_0-32"
ACCEPT = {"accept-encoding": "gzip, deflate"}

OPTIONS = {
    "gzip": {"compression": "gzip"},
    "plain": {},
    "shuffle": {"compression": "gzip", "shuffle": True},
    "fletcher32": {"compression": "gzip", "fletcher32": True},
    "lzf": {"compression": "lzf"},
}


def voxels(dtype: str) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 9, SHAPE).astype(dtype)


def picture() -> np.ndarray:
    return (np.add.outer(np.arange(64), np.arange(90)) % 200).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("passing")
    for name, options in OPTIONS.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=voxels("<u4"), chunks=CHUNK, **options)
    with h5py.File(folder / "big-endian.h5", "w") as file:
        file.create_dataset("main", data=voxels(">u4"), chunks=CHUNK, compression="gzip")
    (folder / "stack").mkdir()
    for z in range(2):
        data = simplejpeg.encode_jpeg(picture()[..., np.newaxis], 80, "GRAY")
        (folder / "stack" / f"{z}.jpg").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path, serve, make_tree) -> Iterator[httpx.Client]:
    names = [*(f"{name}.h5" for name in (*OPTIONS, "big-endian")), "stack"]
    channels = [{"name": name, "path": str(folder / name)} for name in names]
    channels.append({"name": "moved", "path": str(folder / "gzip.h5"), "voxel_offset": [1, 0, 0]})
    channels.append({"name": "ids", "path": str(folder / "stack"), "kind": "segmentation"})
    with serve(make_tree(*channels)) as client:
        yield client


def stored(folder: Path) -> bytes:
    with h5py.File(folder / "gzip.h5") as file:
        _, data = file["main"].id.read_direct_chunk((0, 0, 64))
    return data


def test_a_zlib_stream_is_sent_as_it_lies_in_the_file(client: httpx.Client, folder: Path) -> None:
    with client.stream("GET", WHOLE.format("gzip.h5"), headers=ACCEPT) as got:
        raw = b"".join(got.iter_raw())
    assert got.headers["content-encoding"] == "deflate"
    assert set(got.headers["vary"].split(", ")) == {"accept-encoding", "user-agent", "origin"}
    assert raw == stored(folder)
    assert zlib.decompress(raw) == voxels("<u4")[:32, :64, 64:].tobytes()


@pytest.mark.parametrize("name", [*OPTIONS, "big-endian"])
def test_every_client_gets_the_same_voxels(client: httpx.Client, name: str) -> None:
    etags = set()
    for coding, agent in (
        ("identity", "curl"),
        ("gzip", "curl"),
        ("deflate", "curl"),
        ("deflate", "python-requests/2.32"),
    ):
        headers = {"accept-encoding": coding, "user-agent": agent}
        got = client.get(WHOLE.format(f"{name}.h5"), headers=headers)
        assert got.content == voxels("<u4")[:32, :64, 64:].tobytes()
        passed = name == "gzip" and coding == "deflate" and agent == "curl"
        assert (got.headers.get("content-encoding") == "deflate") is passed
        etags.add((got.headers.get("content-encoding"), got.headers["etag"]))
    assert len({coding for coding, _ in etags}) == len({etag for _, etag in etags}) == len(etags)


@pytest.mark.parametrize(
    "path",
    [
        "/pre/exp::sam::dat/gzip.h5/raw/0/64-128_64-100_0-32",  # the chunk leaves the volume
        "/pre/exp::sam::dat/gzip.h5/raw/0/64-128_0-64_0-31",
        "/pre/exp::sam::dat/gzip.h5/raw/0/0-128_0-64_0-32",
        "/pre/exp::sam::dat/gzip.h5/raw/1/0-64_0-50_0-32",
        "/pre/exp::sam::dat/moved/raw/0/64-128_0-64_1-32",
        "/zarr/exp::sam::dat/gzip.h5/0/0/0/1",
    ],
)
def test_what_is_not_the_chunk_is_made(client: httpx.Client, path: str) -> None:
    got = client.get(path, headers=ACCEPT)
    assert got.status_code == 200
    assert got.headers.get("content-encoding") != "deflate"


def test_a_moved_channel_has_its_chunks_elsewhere(client: httpx.Client) -> None:
    path = "/pre/exp::sam::dat/moved/raw/0/64-128_0-64_1-33"
    got = client.get(path, headers=ACCEPT)
    assert got.headers["content-encoding"] == "deflate"
    assert got.content == voxels("<u4")[:32, :64, 64:].tobytes()


def test_a_jpeg_is_sent_as_it_lies_on_the_disk(client: httpx.Client, folder: Path) -> None:
    data = (folder / "stack" / "1.jpg").read_bytes()
    base = "experiment=exp&sample=sam&dataset=dat&x=0&y=0&z=1&width=90&height=64"
    for path in (
        f"/api/data?{base}&channel=stack&format=jpg",
        "/pre/exp::sam::dat/stack/jpeg/0/0-90_0-64_1-2",
        "/tiles/exp::sam::dat/stack/0/1/0/0.jpg",
    ):
        got = client.get(path)
        assert (got.headers["content-type"], got.content) == ("image/jpeg", data)
    for path in (
        f"/api/data?{base}&channel=stack&format=jpg&view=colormap",
        f"/api/data?{base}&channel=ids&format=jpg",
        f"/api/data?{base.replace('width=90', 'width=89')}&channel=stack&format=jpg",
        "/tiles/exp::sam::dat/stack/xz/0/1/0/0.jpg",
        "/tiles/exp::sam::dat/stack/0/1/0/0.png",
    ):
        got = client.get(path)
        assert got.status_code == 200
        assert got.content != data


@pytest.mark.parametrize("left", [2, 0.5, 0.99])
def test_a_jpeg_cut_short_is_an_error(tmp_path: Path, serve, make_tree, left: float) -> None:
    data = simplejpeg.encode_jpeg(picture()[..., np.newaxis], 80, "GRAY")
    (tmp_path / "0.jpg").write_bytes(data)
    (tmp_path / "1.jpg").write_bytes(data[: int(left * len(data)) if left < 1 else left])
    with serve(make_tree({"name": "stack", "path": str(tmp_path)})) as client:
        assert client.get("/tiles/exp::sam::dat/stack/0/0/0/0.jpg").content == data
        assert client.get("/tiles/exp::sam::dat/stack/0/1/0/0.jpg").status_code == 503


def test_a_jpeg_that_others_would_show_otherwise_is_made(tmp_path: Path, serve, make_tree) -> None:
    colours = np.stack([picture(), picture() // 2, picture() // 3], -1)
    grey = simplejpeg.encode_jpeg(picture()[..., np.newaxis], 95, "GRAY")
    exif = b"\xff\xe1\x00\x0aExif\0\0\0\0"
    files = [simplejpeg.encode_jpeg(colours, 95, "RGB"), grey[:2] + exif + grey[2:]]
    for z, data in enumerate(files):
        (tmp_path / f"{z}.jpg").write_bytes(data)
    with serve(make_tree({"name": "stack", "path": str(tmp_path)})) as client:
        for z, data in enumerate(files):
            got = client.get(f"/tiles/exp::sam::dat/stack/0/{z}/0/0.jpg").content
            assert got != data
            assert imagecodecs.jpeg8_decode(got).ndim == 2


def test_hdf5_never_gives_what_is_no_stream(folder: Path, tmp_path: Path) -> None:
    source = HDF5.open(str(folder / "gzip.h5"))
    (way,) = source.stored_as(0)
    assert source.read_encoded(0, (0, 0, 0), way) is not None
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        main = file.create_dataset("main", (4, 8, 8), "u1", chunks=(2, 8, 8), compression="gzip")
        main.id.write_direct_chunk((2, 0, 0), bytes(128), 1)  # its filter was left out
    source = HDF5.open(str(path))
    for index in ((0, 0, 0), (1, 0, 0)):  # the first was never written
        assert source.read_encoded(0, index, way) is None
