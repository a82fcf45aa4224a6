"""An unknown voxel size in each protocol, and the request that writes one to the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tensorstore as ts
import yaml

from bfly.protocols import browse
from bfly.sources.n5.source import N5
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

CHANNEL = "exp::sam::dat/em"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.random.default_rng(0).integers(0, 99, (20, 100, 100)).astype("u1")
    return tmp_path


@pytest.fixture
def client(folder: Path, serve: Any, make_tree: Any) -> Iterator[httpx.Client]:
    with serve(make_tree({"name": "em", "path": str(folder / "em.h5")})) as client:
        yield client


def test_metadata_have_no_unit(client: httpx.Client) -> None:
    group = client.get(f"/zarr/{CHANNEL}/.zattrs").json()
    assert group["multiscales"][0]["axes"] == [{"name": a, "type": "space"} for a in "zyx"]
    assert "dimension_units" not in client.get(f"/zarr/{CHANNEL}/0/.zattrs").json()
    attributes = client.get(f"/zarr3/{CHANNEL}/1/zarr.json").json()["attributes"]
    assert "dimension_units" not in attributes
    assert (attributes["voxel_size"], attributes["units"]) == ([1, 2, 2], [""] * 3)
    n5 = client.get(f"/n5/{CHANNEL}/attributes.json").json()
    assert (n5["units"], n5["pixelResolution"]["unit"]) == ([""] * 3, "")
    assert client.get(f"/n5/{CHANNEL}/s1/attributes.json").json()["transform"]["units"] == [""] * 3
    info = client.get(f"/pre/{CHANNEL}/info").json()
    assert info["voxel_size_source"] == "assumed"
    assert info["scales"][0]["resolution"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("prefix", "source"),
    [("pre", Precomputed), ("zarr", Zarr), ("zarr3", Zarr), ("n5", N5)],
)
def test_butterfly_reads_it_as_unknown(client: httpx.Client, prefix: str, source: Any) -> None:
    url = f"{client.base_url}/{prefix}/{CHANNEL}"
    found = source.open(url, files=Files([str(client.base_url)]))
    assert found.voxel_size is None
    assert found.scales[1].factor == (1, 2, 2)


def test_tensorstore_reads_it(client: httpx.Client) -> None:
    store = f"{client.base_url}/pre/{CHANNEL}/"
    volume = ts.open({"driver": "neuroglancer_precomputed", "kvstore": store}).result()
    assert volume.shape == (100, 100, 20, 1)


# Writing it


def config(folder: Path) -> Path:
    channel = {"name": "em", "path": "em.h5"}
    dataset = {"name": "dat", "path": ".", "channels": [channel, {**channel, "name": "twin"}]}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [dataset]}]}]
    path = folder / "c.yaml"
    path.write_text(f"# mine\n{yaml.safe_dump({'bfly': {'experiments': experiments}})}")
    return path


def post(client: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(f"/browse/{CHANNEL}/voxel_size", content=content, headers=headers)


@pytest.fixture
def from_file(folder: Path, command: Callable[..., Any]) -> Iterator[httpx.Client]:
    import httpx

    path = config(folder)
    with (
        command("-e", str(path), "0", cwd=folder) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def test_it_is_written_and_used_at_once(from_file: httpx.Client, folder: Path) -> None:
    client = from_file
    assert client.get("/browse").json()["may_write"] is True
    addresses = [f"/browse/{CHANNEL}", f"/pre/{CHANNEL}/info", f"/zarr/{CHANNEL}/.zattrs"]
    before = [client.get(address).json() for address in addresses]
    answer = post(client, [4, 3.58, 40])
    assert (answer.status_code, answer.json()) == (200, {"voxel_size": [4, 3.58, 40]})
    assert answer.headers["cache-control"] == "no-store"
    shown, info, ome = (client.get(address).json() for address in addresses)
    assert before[0]["voxel_size"] is None
    assert shown["voxel_size"] == [4, 3.58, 40]
    assert info["scales"][0]["resolution"] == [4, 3.58, 40]
    assert ome["multiscales"][0]["axes"][0]["unit"] == "nanometer"
    metadata = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "em"}
    facts = client.get("/api/channel_metadata", params=metadata).json()
    assert facts["voxel-size-source"] == "config"
    assert client.get("/browse/exp::sam::dat/twin").json()["voxel_size"] is None
    text = (folder / "c.yaml").read_text()
    assert text.startswith("# mine\n")
    assert text.count("voxel_size: [40, 3.58, 4]") == 1


def test_other_pages_may_not_write(from_file: httpx.Client, folder: Path) -> None:
    before = (folder / "c.yaml").read_text()
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8888"},
        {"origin": "https://neuroglancer-demo.appspot.com"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"host": "evil.example"},
    ):
        assert post(from_file, [4, 4, 40], **headers).status_code == 403
    assert (folder / "c.yaml").read_text() == before


@pytest.mark.parametrize(
    "body",
    [
        *([4, 4], [4, 4, 0], [4, 4, -1], [4, 4, 1e99], ["a", 4, 4], {"x": 4}, None, 7),
        *(b"", b"[NaN, 1, 1]", b"[" * 1000, b"\xff"),
    ],
)
def test_what_is_no_voxel_size(client: httpx.Client, body: Any) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert "three numbers [x, y, z]" in answer.text or "allowed are" in answer.text


def test_without_a_file_the_answer_is_the_line_to_paste(client: httpx.Client) -> None:
    assert client.get("/browse").json()["may_write"] is False
    answer = post(client, [4, 3.58, 40])
    assert answer.status_code == 403
    assert answer.text.startswith(browse.FIXED)
    assert "At the channel, em, add: voxel_size: [40, 3.58, 4]" in answer.text
    assert client.post(f"/browse/{CHANNEL}", content="[1, 1, 1]").status_code == 404
    assert post(client, b"[1,1,1]" + b" " * 2000).status_code == 413


def test_several_workers_do_not_write(folder: Path, command: Callable[..., Any]) -> None:
    import httpx

    path = config(folder)
    before = path.read_text()
    with (
        command("-e", str(path), "0", "--workers", "2", cwd=folder) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        assert client.get("/browse").json()["may_write"] is False
        assert post(client, [4, 4, 40]).status_code == 403
    assert path.read_text() == before
