"""All channels of a file as one volume with an axis of channels, ``NAME-all``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

VOLUMES = random_volume((3, 20, 70, 130), "uint16")

PLACE = {"voxel_offset": [5, 0, 7], "voxel_size": [30, 4, 4], "kind": "image"}


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory,
    serve: Callable[..., Any],
    make_tree: Callable[..., Any],
) -> Iterator[httpx.Client]:
    path = tmp_path_factory.mktemp("group") / "rgb.zarr"
    options = {"chunks": (1, 16, 64, 64), "dimension_names": ["c", "z", "y", "x"]}
    zarr.create_array(str(path), data=VOLUMES, **options)
    channels = [
        {"name": "green", "path": f"{path}#c=1", **PLACE},
        {"name": "red", "path": str(path), **PLACE},
        {"name": "blue", "path": f"{path}#c=2", **PLACE},
        {"name": "elsewhere", "path": f"{path}#c=1", "kind": "image"},
        {"name": "alone", "path": f"{path}#c=2"},
        {"name": "alone-more", "path": f"{path}#c=0", "voxel_size": [1, 1, 1]},
    ]
    with serve(make_tree(*channels)) as client:
        yield client


def root(client: httpx.Client, prefix: str, name: str = "red-all") -> str:
    return f"{str(client.base_url).rstrip('/')}/{prefix}/exp::sam::dat/{name}"


@pytest.mark.parametrize(("prefix", "driver"), [("zarr", "zarr"), ("zarr3", "zarr3")])
@pytest.mark.parametrize("compressor", ["", "/blosc"])
def test_zarr_has_an_axis_of_channels(
    client: httpx.Client, prefix: str, driver: str, compressor: str
) -> None:
    store = f"{root(client, prefix)}{compressor}/0/"
    array = ts.open({"driver": driver, "kvstore": store}).result()
    np.testing.assert_array_equal(array.read().result(), VOLUMES)


@pytest.mark.parametrize("prefix", ["zarr", "zarr3"])
def test_ome_zarr_describes_the_axis(client: httpx.Client, prefix: str) -> None:
    url = root(client, prefix).replace("::", "%3A%3A")
    group = zarr.open_group(url, mode="r")
    found = dict(group.attrs)
    (multiscale,) = found.get("ome", found)["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "z", "y", "x"]
    scale, translation = multiscale["datasets"][1]["coordinateTransformations"]
    assert scale["scale"] == [1, 30, 8, 8]
    assert translation["translation"][0] == 0
    one = zarr.open_group(url.replace("red-all", "blue"), mode="r")
    np.testing.assert_array_equal(group["1"][2], one["1"][...])
    if prefix == "zarr":
        assert group["0"].attrs["_ARRAY_DIMENSIONS"] == ["c", "z", "y", "x"]


def test_precomputed_has_several_channels(client: httpx.Client) -> None:
    spec = {"driver": "neuroglancer_precomputed", "kvstore": f"{root(client, 'pre')}/"}
    info = client.get(f"{root(client, 'pre')}/info").json()
    assert (info["num_channels"], info["type"]) == (3, "image")
    array = ts.open(spec).result()
    np.testing.assert_array_equal(array.read().result(), VOLUMES.T)
    assert array.domain.origin == (7, 0, 5, 0)


@pytest.mark.parametrize(
    "path",
    [
        "zarr/exp::sam::dat/red-all/0/3/0/0/0",
        "zarr/exp::sam::dat/red-all/0/0/0/0",
        "zarr3/exp::sam::dat/red-all/0/c/3/0/0/0",
        "zarr/exp::sam::dat/red-all/labels/.zgroup",
        "pre/exp::sam::dat/red-all/jpeg/info",
        "pre/exp::sam::dat/red-all/0/0-64_0-64",
        "pre/exp::sam::dat/red-all/0/0-64_0-64_0-64",
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, path: str) -> None:
    assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("name", ["green-none-all", "elsewhere-all", "alone-all", "-all"])
@pytest.mark.parametrize("prefix", ["zarr", "pre"])
def test_channels_that_are_configured_otherwise_are_no_group(
    client: httpx.Client, prefix: str, name: str
) -> None:
    document = ".zattrs" if prefix == "zarr" else "info"
    assert client.get(f"{root(client, prefix, name)}/{document}").status_code in (400, 404)


def test_a_group_has_the_name_of_any_of_its_channels(client: httpx.Client) -> None:
    """All of them are in the order of the file."""
    path = "0/7-71_0-64_5-21"
    whole = client.get(f"{root(client, 'pre')}/{path}").content
    parts = [client.get(f"{root(client, 'pre', name)}/{path}") for name in ("red", "green", "blue")]
    assert whole == b"".join(part.content for part in parts)
    assert client.get(f"{root(client, 'pre', 'blue-all')}/{path}").content == whole
