"""What zarr arrays and images state for programs that read more than OME-Zarr's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from bfly.testing.volumes import random_volume
from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.fixtures.channels import Channel

GREY = np.random.default_rng(0).normal(3000, 200, (6, 200, 200))
"""Grey values of a camera with 12 bits."""

TYPES = {"int16": GREY, "uint16": GREY, "float32": GREY / 4095, "uint8": GREY / 16}


def array_attributes(channel: Channel, prefix: str, mip: int) -> dict[str, Any]:
    if prefix == "zarr":
        return channel.client.get(f"{channel.url(prefix)}/{mip}/.zattrs").json()
    return channel.client.get(f"{channel.url(prefix)}/{mip}/zarr.json").json()["attributes"]


def shown(client: httpx.Client, name: str, prefix: str = "zarr") -> dict[str, Any]:
    """Return the attributes of OME-Zarr."""
    root = f"/{prefix}/exp::sam::dat/{name}"
    if prefix == "zarr":
        return client.get(f"{root}/.zattrs").json()
    return client.get(f"{root}/zarr.json").json()["attributes"]["ome"]


@both
def test_an_array_states_its_size_and_corner_in_nanometres(channel: Channel, prefix: str) -> None:
    for mip in channel.mips:
        found = array_attributes(channel, prefix, mip)
        size = channel.scale(mip)
        np.testing.assert_allclose(found["voxel_size"], size)
        np.testing.assert_allclose(found["offset"], channel.origin(mip) * size)
        assert found["units"] == ["nm"] * 3
        assert found["axis_names"] == ["z", "y", "x"]
        assert found["types"] == ["space"] * 3
        for numbers in (found["voxel_size"], found["offset"]):
            # funlib.persistence takes nothing else.
            assert all(isinstance(n, int) for n in numbers if n == int(n))


@pytest.fixture
def client(tmp_path: Path, serve: Any, make_tree: Callable[..., Any]) -> Iterator[httpx.Client]:
    channels: list[dict[str, Any]] = []
    for dtype, values in TYPES.items():
        tifffile.imwrite(tmp_path / f"{dtype}.tif", values.astype(dtype), photometric="minisblack")
        channels.append({"name": dtype, "path": f"{tmp_path}/{dtype}.tif", "kind": "image"})
    blank = np.zeros((3, 64, 64), "uint16")
    tifffile.imwrite(tmp_path / "blank.tif", blank, photometric="minisblack")
    channels.append({"name": "blank", "path": f"{tmp_path}/blank.tif", "kind": "image"})
    labels = random_volume((3, 64, 64), "uint16")
    tifffile.imwrite(tmp_path / "seg.tif", labels, photometric="minisblack")
    channels.append({"name": "seg", "path": f"{tmp_path}/seg.tif", "kind": "segmentation"})
    rgb = np.stack([GREY, GREY / 2, GREY / 4]).astype("uint16")
    options = {"chunks": (1, 6, 100, 100), "dimension_names": [*"czyx"]}
    zarr.create_array(f"{tmp_path}/rgb.zarr", data=rgb, **options)
    for number, colour in enumerate(("red", "green", "blue")):
        path = f"{tmp_path}/rgb.zarr#c={number}"
        channels.append({"name": colour, "path": path, "kind": "image"})
    with serve(make_tree(*channels)) as client:
        yield client


@both
@pytest.mark.parametrize("dtype", TYPES)
def test_the_window_of_an_image_is_its_contrast(
    client: httpx.Client, prefix: str, dtype: str
) -> None:
    omero = shown(client, dtype, prefix)["omero"]
    (channel,) = omero["channels"]
    assert (channel["label"], channel["color"], channel["active"]) == (dtype, "FFFFFF", True)
    assert omero["rdefs"] == {"model": "greyscale", "defaultT": 0, "defaultZ": 3}
    window, values = channel["window"], TYPES[dtype].astype(dtype)
    np.testing.assert_allclose(window["start"], np.percentile(values, 0.5), rtol=0.05)
    np.testing.assert_allclose(window["end"], np.percentile(values, 99.5), rtol=0.05)
    if dtype != "float32":
        limits = np.iinfo(dtype)
        assert (window["min"], window["max"]) == (limits.min, limits.max)


@both
def test_the_first_section_is_in_every_mip(em: Channel, prefix: str) -> None:
    """Vizarr takes the index of a section for that of coarser mips, which have fewer."""
    assert shown(em.client, em.name, prefix)["omero"]["rdefs"]["defaultZ"] == 0


def test_an_image_without_contrast_has_the_window_of_its_dtype(client: httpx.Client) -> None:
    (channel,) = shown(client, "blank")["omero"]["channels"]
    assert channel["window"] == {"min": 0, "max": 65535, "start": 0, "end": 65535}


@both
def test_each_channel_of_a_group_has_a_colour_and_its_own_contrast(
    client: httpx.Client, prefix: str
) -> None:
    omero = shown(client, "red-all", prefix)["omero"]
    assert omero["rdefs"]["model"] == "color"
    assert [(each["label"], each["color"], each["active"]) for each in omero["channels"]] == [
        ("red", "FF0000", True),
        ("green", "00FF00", True),
        ("blue", "0000FF", True),
    ]
    ends = [each["window"]["end"] for each in omero["channels"]]
    np.testing.assert_allclose(ends, [3515, 1757, 879], rtol=0.05)
    mip = "0/.zattrs" if prefix == "zarr" else "0/zarr.json"
    found = client.get(f"/{prefix}/exp::sam::dat/red-all/{mip}").json()
    found = found.get("attributes", found)
    assert found["axis_names"] == ["c^", "z", "y", "x"]
    assert found["types"] == ["channel", "space", "space", "space"]
    assert [len(found[name]) for name in ("voxel_size", "offset", "units")] == [3, 3, 3]


@both
def test_labels_have_no_window(client: httpx.Client, prefix: str) -> None:
    assert "omero" not in shown(client, "seg", prefix)


def test_an_image_that_cannot_be_read_is_still_described(
    tmp_path: Path, serve: Any, make_tree: Callable[..., Any]
) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), data=GREY.astype("uint16"), chunks=(6, 200, 200))
    (chunk,) = (file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    chunk.write_bytes(b"damaged")
    with serve(make_tree({"name": "em", "path": str(path), "kind": "image"})) as client:
        (channel,) = shown(client, "em")["omero"]["channels"]
    assert channel["window"] == {"min": 0, "max": 65535, "start": 0, "end": 65535}
