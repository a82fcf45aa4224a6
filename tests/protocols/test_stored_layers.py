"""Meshes, skeletons, properties and annotations stored with a volume are passed through."""

from __future__ import annotations

import gzip
import http.client
import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import brotli
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from bfly.config.config import Config
from tests.fixtures.cloudvolume_folder import (
    BOXES,
    MESHES,
    OFFSET,
    VOXEL_SIZE,
    CloudVolumeFolder,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.fixtures.servers import Bucket, Served

ROOT = "/pre/exp::sam::dat/seg"
PLAIN = {"accept-encoding": "identity"}
SHARD = f"{MESHES[2]}/1.shard"
MANIFEST, FRAGMENT = "mesh/3:0", "mesh/3:0:0-64_0-48_0-32"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> CloudVolumeFolder:
    """The volume, with a shard of several megabytes."""
    made = write(tmp_path_factory.mktemp("stored") / "seg")
    shard = made.path / SHARD
    shard.write_bytes(shard.read_bytes() + os.urandom(3 << 20))
    return made


@pytest.fixture(scope="module")
def client(volume: CloudVolumeFolder, serve, make_tree) -> Iterator[httpx.Client]:
    with serve(make_tree({"name": "seg", "path": str(volume.path)})) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/raw", "/compressed_segmentation"])
def test_every_file_is_sent(volume: CloudVolumeFolder, client: httpx.Client, prefix: str) -> None:
    found = {
        str(path.relative_to(volume.path)): path.read_bytes()
        for path in volume.path.rglob("*/*")
        if path.is_file() and path.parent.name != "4_4_40"
    }
    assert len(found) > 30
    for name, data in found.items():
        content = gzip.decompress(data) if name.endswith(".gz") else data
        got = client.get(f"{ROOT}{prefix}/{name.removesuffix('.gz')}", headers=PLAIN)
        assert got.status_code == 200, name
        assert got.content == content
        assert "content-encoding" not in got.headers
        is_words = name.endswith("info") or ":0.gz" in name
        kind = "application/json" if is_words else "application/octet-stream"
        assert got.headers["content-type"] == kind


def test_a_packed_file_is_sent_as_it_is_stored(
    volume: CloudVolumeFolder, client: httpx.Client
) -> None:
    with client.stream("GET", f"{ROOT}/{FRAGMENT}", headers={"accept-encoding": "gzip"}) as got:
        body = b"".join(got.iter_raw())
    assert got.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in got.headers["vary"]
    assert body == (volume.path / f"{FRAGMENT}.gz").read_bytes()


@pytest.mark.parametrize("path", [FRAGMENT, SHARD, "mesh_multires/3"])
def test_ranges_and_conditions(volume: CloudVolumeFolder, client: httpx.Client, path: str) -> None:
    whole = client.get(f"{ROOT}/{path}", headers=PLAIN)
    data, tag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-length"] == str(len(data))

    def ask(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(f"{ROOT}/{path}", headers={**PLAIN, **named})

    size = len(data)
    for text, start, stop in [
        ("0-15", 0, 16),
        ("16-99", 16, 100),
        (f"{size - 5}-", size - 5, size),
        ("-7", size - 7, size),
        (f"{size - 3}-{size + 100}", size - 3, size),
    ]:
        got = ask(range=f"bytes={text}")
        assert (got.status_code, got.content) == (206, data[start:stop])
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    got = ask(range=f"bytes={size}-")
    assert (got.status_code, got.headers["content-range"]) == (416, f"bytes */{size}")
    assert ask(if_none_match=tag).status_code == 304
    assert ask(if_match='"another"').status_code == 412
    assert ask(range="bytes=0-3", if_range=tag).status_code == 206
    assert ask(range="bytes=0-3", if_range='"another"').status_code == 200
    head = client.head(f"{ROOT}/{path}", headers=PLAIN)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(size)


@pytest.mark.parametrize(
    "path",
    ["mesh/4:0", "mesh", "mesh/", "mesh/info/x", "skeletons/4", "other/info", "4_4_40/x", "mesh/x"],
)
def test_what_is_not_there_is_absent(client: httpx.Client, path: str) -> None:
    assert client.get(f"{ROOT}/{path}").status_code == 404


def test_no_path_leads_out_of_the_folder(tmp_path: Path, serve, make_tree) -> None:
    volume = write(tmp_path / "data/seg")
    (tmp_path / "data/secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/info").write_text('{"@type": "neuroglancer_skeletons"}')
    (volume.path / "mesh/7:0").symlink_to(tmp_path / "outside/info")
    (volume.path / "mesh/8:0").symlink_to(tmp_path / "outside/nothing")
    (volume.path / "linked").symlink_to(tmp_path / "outside")
    allowed = {"allowed-paths": [str(tmp_path / "data")]}
    tree = make_tree({"name": "seg", "path": str(volume.path)}, **allowed)
    with serve(tree) as client:

        def status(path: str) -> int:
            # httpx, as browsers do, removes '..' from an address.
            with closing(http.client.HTTPConnection("127.0.0.1", client.base_url.port)) as plain:
                plain.request("GET", f"{ROOT}/{path}")
                return plain.getresponse().status

        assert status("mesh/3:0") == 200
        for path in ("mesh/../../secret", "mesh/%2e%2e/%2e%2e/secret", "mesh/..%2f..%2fsecret"):
            assert status(path) in (403, 404), path
        assert status("mesh/7:0") == status("mesh/8:0") == 403
        assert status("linked/info") in (403, 404)
        assert "linked" not in client.get(f"{ROOT}/info").text


def info_of(folder: Path, serve, make_tree, **channel: Any) -> dict[str, Any]:
    with serve(make_tree({"name": "seg", "path": str(folder), **channel})) as client:
        info: dict[str, Any] = client.get(f"{ROOT}/info").json()
        info["annotations"] = client.get("/browse/exp::sam::dat/seg").json()["annotations"]
    return info


def test_the_info_names_them(volume: CloudVolumeFolder, serve, make_tree) -> None:
    info = info_of(volume.path, serve, make_tree)
    assert (info["mesh"], info["skeletons"]) == ("mesh", "skeletons")
    assert info["segment_properties"] == "segment_properties"
    assert info["annotations"] == ["annotations", "annotations_sharded"]


def test_layers_that_no_info_names_are_found(tmp_path: Path, serve, make_tree) -> None:
    volume = write(tmp_path / "seg", mesh="mesh_multires_sharded")
    info = json.loads((volume.path / "info").read_text())
    for key in ("mesh", "skeletons", "segment_properties"):
        del info[key]
    (volume.path / "info").write_text(json.dumps(info))
    found = info_of(volume.path, serve, make_tree)
    assert (found["mesh"], found["skeletons"]) == ("mesh", "skeletons")
    assert found["segment_properties"] == "segment_properties"


@pytest.mark.parametrize("name", ["../meshes", "/etc", "gs://bucket/mesh", 7, "a/../b"])
def test_a_name_that_leads_elsewhere_is_not_named(
    tmp_path: Path, serve, make_tree, name: object
) -> None:
    volume = write(tmp_path / "seg")
    info = json.loads((volume.path / "info").read_text())
    (volume.path / "info").write_text(json.dumps({**info, "skeletons": name}))
    assert info_of(volume.path, serve, make_tree)["skeletons"] == "skeletons"


@pytest.mark.parametrize("moved", [{"voxel_offset": (1, 0, 0)}, {"voxel_size": (40, 8, 8)}])
def test_positions_that_no_longer_fit_are_not_offered(
    volume: CloudVolumeFolder, serve, make_tree, moved: dict[str, Any]
) -> None:
    info = info_of(volume.path, serve, make_tree, **moved)
    assert info["annotations"] == []
    assert info["segment_properties"] == "segment_properties"
    assert (info["mesh"], info["skeletons"]) == ("mesh", "skeletons")  # computed ones
    with serve(make_tree({"name": "seg", "path": str(volume.path), **moved})) as client:
        (fragment,) = client.get(f"{ROOT}/mesh/12:0").json()["fragments"]
        computed = client.get(f"{ROOT}/mesh/{fragment}").content
        assert client.get(f"{ROOT}/mesh/12:0:0-64_0-48_0-32").status_code == 404  # a stored one
        skeleton = client.get(f"{ROOT}/skeletons/12").content
    count = int.from_bytes(computed[:4], "little")
    found = np.frombuffer(computed, "<f4", 3 * count, 4).reshape(-1, 3)
    z, y, x = np.add(moved.get("voxel_offset", (0, 0, 0)), OFFSET) + np.array(BOXES[12])
    size = moved.get("voxel_size", VOXEL_SIZE)
    assert found.min(axis=0).tolist() == [x * size[2], y * size[1], z * size[0]]
    vertices = np.frombuffer(skeleton, "<f4", 3 * int.from_bytes(skeleton[:4], "little"), 8)
    assert (vertices.reshape(-1, 3) > found.min(axis=0)).all()
    assert (vertices.reshape(-1, 3) < found.max(axis=0)).all()


def test_a_damaged_file_is_an_error(tmp_path: Path, serve, make_tree) -> None:
    volume = write(tmp_path / "seg")
    packed = (volume.path / f"{FRAGMENT}.gz").read_bytes()
    (volume.path / f"{FRAGMENT}.gz").write_bytes(packed[:-9])
    with serve(make_tree({"name": "seg", "path": str(volume.path)})) as client:
        got = client.get(f"{ROOT}/{FRAGMENT}", headers=PLAIN)
    assert got.status_code == 503
    assert FRAGMENT in got.text


def test_brotli_is_sent_or_unpacked(tmp_path: Path, serve, make_tree) -> None:
    volume = write(tmp_path / "seg")
    (volume.path / "skeletons/12.gz").unlink()
    packed = brotli.compress(b"skeleton" * 100)
    (volume.path / "skeletons/12.br").write_bytes(packed)
    with serve(make_tree({"name": "seg", "path": str(volume.path)})) as client:
        for accept, coding in [("gzip, br", "br"), ("gzip, br;q=0", None), ("identity", None)]:
            got = client.get(f"{ROOT}/skeletons/12", headers={"accept-encoding": accept})
            assert got.content == b"skeleton" * 100
            assert got.headers.get("content-encoding") == coding


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, serve, make_tree, kind: str
) -> None:
    volume = write(tmp_path / "seg")
    bomb = gzip.compress(bytes(100 << 20))
    if kind == "packed":  # the stated size is a lie
        bomb = bomb[:-4] + (100).to_bytes(4, "little")
    (volume.path / "skeletons/12.gz").write_bytes(bomb)
    limit = {"max-chunk-size": 32}
    tree = make_tree({"name": "seg", "path": str(volume.path)}, **limit)
    with serve(tree) as client:
        got = client.get(f"{ROOT}/skeletons/12", headers=PLAIN)
        assert got.status_code == 503
        assert "skeletons/12.gz" in got.text


def test_a_changed_file_is_sent_anew(tmp_path: Path, serve, make_tree) -> None:
    volume = write(tmp_path / "seg")
    shard = volume.path / SHARD
    with serve(make_tree({"name": "seg", "path": str(volume.path)})) as client:
        for data in (b"a" * 5, b"b" * (2 << 20), b"c" * (2 << 20)):
            shard.write_bytes(data)
            assert client.get(f"{ROOT}/{SHARD}").content == data


def test_servers_are_passed_through_too(
    server: Served | Bucket, tmp_path: Path, serve, make_tree
) -> None:
    volume = write(tmp_path / "seg")
    for path in [*volume.path.rglob("*.gz")]:
        # A server has the content under its own name, or unpacks it itself.
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    large = os.urandom(200_000)
    (volume.path / SHARD).write_bytes(large)
    empty = volume.path / "skeletons/99"
    empty.write_bytes(b"")
    url = server.put(volume.path)
    with serve(
        make_tree({"name": "seg", "path": url}, **{"allowed-paths": [server.url]})
    ) as client:
        info = client.get(f"{ROOT}/info").json()
        assert (info["mesh"], info["skeletons"]) == ("mesh", "skeletons")
        for name in (MANIFEST, FRAGMENT, "annotations/by_id/101", "annotations/info", SHARD):
            got = client.get(f"{ROOT}/{name}", headers=PLAIN)
            assert got.content == (volume.path / name).read_bytes()
            assert client.get(f"{ROOT}/{name}", headers={"if-none-match": got.headers["etag"]})
        assert client.get(f"{ROOT}/skeletons/99").content == b""
        for start, stop in [(0, 16), (70_000, 70_100), (199_990, 200_000)]:
            ranged = {"range": f"bytes={start}-{stop - 1}"}
            got = client.get(f"{ROOT}/{SHARD}", headers=ranged)
            assert (got.status_code, got.content) == (206, large[start:stop])
            assert got.headers["content-range"].startswith(f"bytes {start}-{stop - 1}/")
            fragment = client.get(f"{ROOT}/{FRAGMENT}", headers={"range": "bytes=0-3"})
            assert (fragment.status_code, len(fragment.content)) == (206, 4)
        past = client.get(f"{ROOT}/{SHARD}", headers={"range": "bytes=199995-200100"})
        assert (past.status_code, past.content) == (206, large[199_995:])
        behind = client.get(f"{ROOT}/{SHARD}", headers={"range": "bytes=300000-300100"})
        assert behind.status_code == 416
        tail = client.get(f"{ROOT}/{SHARD}", headers={"range": "bytes=199995-"})
        assert tail.content in (large[199_995:], large)
        assert client.head(f"{ROOT}/{SHARD}").status_code == 200
        for name in ("mesh/4:0", "annotations/by_id/4", "other/info", "skeletons/4"):
            assert client.get(f"{ROOT}/{name}").status_code == 404, name


def test_those_of_the_database_come_first(tmp_path: Path, serve) -> None:
    volume = write(tmp_path / "seg")
    (volume.path / "annotations").rename(volume.path / "synapses")
    (volume.path / "segment_properties").rename(volume.path / "names")
    info = json.loads((volume.path / "info").read_text())
    (volume.path / "info").write_text(json.dumps({**info, "segment_properties": "names"}))
    rows = {name: [3] for name in ("id", "pre", "post", "x", "y", "z")}
    pa.parquet.write_table(pa.table(rows), tmp_path / "synapses.parquet")
    dataset: dict[str, Any] = {"name": "dat", "path": str(tmp_path)}
    dataset["channels"] = [{"name": "seg", "path": str(volume.path)}]

    def served(**table: Any) -> tuple[Any, Any, int]:
        samples = [{"name": "sam", "datasets": [{**dataset, **table}]}]
        tree = {"bfly": {"experiments": [{"name": "exp", "samples": samples}]}}
        with serve(Config.parse(tree, "test.yaml")) as client:
            properties = client.get(f"{ROOT}/info").json()["segment_properties"]
            kind = client.get(f"{ROOT}/synapses/info").json()["relationships"][0]["id"]
            named = client.get(f"{ROOT}/names/info").status_code
            assert client.get(f"{ROOT}/{properties}/info").status_code == 200
            return properties, kind, named

    assert served() == ("names", "segment", 200)
    table = {"path": str(tmp_path / "synapses.parquet")}
    assert served(synapses=table) == ("segment_properties", "pre", 200)
