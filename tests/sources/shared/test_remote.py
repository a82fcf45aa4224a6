"""Volumes on servers: nginx over http, and S3 emulated by moto."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorstore as ts
import zarr
import zarr.codecs.numcodecs

from bfly.errors import NotAllowed, SourceError
from bfly.sources.n5.source import N5
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.zarr.source import Zarr
from bfly.storage.disk_cache import DiskCache
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume
from tests.sources.n5.test_own import write as write_n5_of_lz4

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.fixtures.servers import Bucket, Served

VOLUME = random_volume((20, 90, 100), "uint8")


def write_zarr(path: Path) -> None:
    zarr.create_array(str(path), data=VOLUME, chunks=(16, 32, 32))


def write_precomputed(path: Path) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {
            **{"size": VOLUME.shape[::-1], "encoding": "raw", "chunk_size": [32, 32, 16]},
            "resolution": [4, 4, 30],
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(VOLUME.T).result()


LZ4 = {
    "zarr": {"chunks": (16, 32, 32)},
    "shards": {"chunks": (16, 32, 32), "shards": (32, 64, 64)},
}


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")
@pytest.mark.parametrize("name", LZ4)
def test_chunks_that_tensorstore_does_not_decode(
    server: Served | Bucket, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "volume"
    codecs = [zarr.codecs.numcodecs.LZ4()]
    made = zarr.create_array(
        str(path), shape=VOLUME.shape, dtype="u1", compressors=codecs, fill_value=9, **LZ4[name]
    )
    made[:, :, :64] = VOLUME[:, :, :64]
    url = server.put(path)
    files = Files([server.url], disk_cache=DiskCache(str(tmp_path / "cache"), 1 << 20))
    opened = Zarr.open(url, files=files, kind="image")
    for _ in range(2):
        voxels = opened.read(0, opened.scales[0].box)
        assert np.array_equal(voxels[..., :64], VOLUME[..., :64])
        assert (voxels[..., 64:] == 9).all()


def test_lz4_of_n5_behind_a_url(nginx: Served, tmp_path: Path) -> None:
    url = nginx.put(write_n5_of_lz4(tmp_path / "volume", VOLUME))
    opened = N5.open(url, files=Files([nginx.url]), kind="image")
    assert np.array_equal(opened.read(0, opened.scales[0].box), VOLUME)


FORMATS = {"zarr": (Zarr, write_zarr), "precomputed": (Precomputed, write_precomputed)}


@pytest.mark.parametrize("name", FORMATS)
def test_the_second_read_is_from_the_disk(nginx: Served, tmp_path: Path, name: str) -> None:
    source, write = FORMATS[name]
    write(nginx.folder / "www" / "volume")
    url = f"{nginx.url}/volume"
    for turn in (0, 1):  # the second stands for another process
        files = Files([nginx.url], disk_cache=DiskCache(str(tmp_path / "cache"), 1 << 20))
        assert source.guess_can_open(url)
        opened = source.open(url, files=files)
        before = nginx.asked()
        assert np.array_equal(opened.read(0, opened.scales[0].box), VOLUME)
        assert (nginx.asked() > before) == (turn == 0)


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_read_is_there_without_the_server(
    server: Served | Bucket, tmp_path: Path, name: str
) -> None:
    source, write = FORMATS[name]
    write(tmp_path / "volume")
    url, times = server.put(tmp_path / "volume"), []
    for turn in (0, 1):
        files = Files([server.url], disk_cache=DiskCache(str(tmp_path / "cache"), 1 << 20))
        opened = source.open(url, files=files)
        if turn == 1:
            server.stop()
        start = time.perf_counter()
        voxels = opened.read(0, opened.scales[0].box)
        times.append(1000 * (time.perf_counter() - start))
        assert np.array_equal(voxels, VOLUME)
    print(f"\n{name} at {url}: first read {times[0]:.1f} ms, second {times[1]:.1f} ms")
    server.start()


def test_a_server_that_stops_and_comes_back(
    server: Served | Bucket, tmp_path, serve, make_tree
) -> None:
    voxels = random_volume((20, 300, 300), "uint8")
    zarr.create_array(str(tmp_path / "volume"), data=voxels, chunks=(20, 100, 300))
    url = server.put(tmp_path / "volume")
    channel = {"name": "em", "path": url}
    at = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "em"}
    box = {"x": 0, "z": 3, "width": 32, "height": 32, "format": "raw"}
    settings = {
        "allowed-paths": ["/", url],
        "disk-cache": {"folder": str(tmp_path / "cache")},
    }
    with serve(make_tree(channel, **settings)) as client:

        def ask(y: int) -> httpx.Response:
            return client.get("/api/data", params={**at, **box, "y": y})

        assert ask(0).content == voxels[3, :32, :32].tobytes()
        server.stop()
        assert ask(0).content == voxels[3, :32, :32].tobytes()  # from memory
        away = ask(200)
        assert away.status_code == 503
        assert f"{url} cannot be read" in away.text
        server.start()
        assert ask(200).content == voxels[3, 200:232, :32].tobytes()


def test_a_server_that_is_not_there_when_a_channel_is_opened(nginx, serve, make_tree) -> None:
    write_zarr(nginx.folder / "www" / "volume")
    channel = {"name": "em", "path": f"{nginx.url}/volume"}
    at = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "em"}
    nginx.stop()
    with serve(make_tree(channel, **{"allowed-paths": [nginx.url]})) as client:
        away = client.get("/api/channel_metadata", params=at)
        assert away.status_code == 503
        assert "cannot be read" in away.text
        nginx.start()
        assert client.get("/api/channel_metadata", params=at).json()["source-type"] == "zarr"


def test_damage_is_an_error_and_absence_is_fill(nginx: Served) -> None:
    folder = nginx.folder / "www" / "volume"
    write_zarr(folder)
    (folder / "c" / "0" / "0" / "0").unlink()
    (folder / "c" / "0" / "0" / "1").write_bytes(b"not a chunk")
    source = Zarr.open(f"{nginx.url}/volume", files=Files([nginx.url]))
    box = source.scales[0].box
    assert not source.read(0, type(box)((0, 0, 0), (16, 32, 32))).any()
    with pytest.raises(SourceError, match="c/0/0/1"):
        source.read(0, type(box)((0, 0, 32), (16, 32, 64)))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/other",
        "http://127.0.0.1/volumes-too",
        "http://127.0.0.1/volumes/../other",
        "http://127.0.0.1/volumes/%2e%2e/other",
        "http://user@127.0.0.1/volumes/a",
        "http://127.0.0.1/volumes/a?b",
        "s3://bucket/volumes",
    ],
)
def test_urls_that_are_not_allowed(url: str) -> None:
    with pytest.raises(NotAllowed):
        Zarr.open(url, files=Files(["/", "http://127.0.0.1/volumes"]))
    with pytest.raises(NotAllowed):
        Zarr.open(url, files=Files())
