"""KNOSSOS's requests: what it asks for to open a dataset, and to show its cubes.

KNOSSOS is a program with windows; the test does what its ``dataset.cpp`` and ``loader.cpp`` do.
"""

from __future__ import annotations

import io
import math
import tomllib
import zipfile
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import imagecodecs
import numpy as np
import pytest

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.channels import Channel

    Voxels = np.ndarray[Any, np.dtype[Any]]


def opened(client: httpx.Client, url: str) -> list[dict[str, Any]]:
    """Return the layers of a ``.k.toml``; each has all keys that KNOSSOS needs."""
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    layers = tomllib.loads(answer.text)["Layer"]
    needed = {"Name", "URL", "Description", "FileExtension", "Extent_px", "CubeShape_px"}
    assert all({*needed, "VoxelSize_nm"} <= layer.keys() for layer in layers)
    return layers


def cube(client: httpx.Client, layer: dict[str, Any], mag: int, index: tuple[int, ...]) -> Voxels:
    """Return a cube (x, y, z) of a mag, counted from 1; one that is not there is blank."""
    x, y, z = (f"{at:04d}" for at in index)
    (ending,) = layer["FileExtension"]
    name = layer["Name"].partition("_mag")[0]
    file = f"/mag{mag}/x{x}/y{y}/z{z}/{name}_mag{mag}_x{x}_y{y}_z{z}{ending}"
    shape = layer["CubeShape_px"][::-1]
    dtype = np.dtype("<u8" if ending.startswith(".seg") else "u1")
    place = unquote(urlsplit(layer["URL"]).path)
    answer = client.get(layer["URL"].replace(urlsplit(layer["URL"]).path, place + file))
    if answer.status_code == 404:
        return np.zeros(shape, dtype)
    assert answer.status_code == 200, answer.text
    data = answer.content
    if ending == ".seg.sz.zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = imagecodecs.snappy_decode(archive.read(archive.namelist()[0]))
    # Of another size, KNOSSOS shows nothing.
    assert len(data) == math.prod(shape) * dtype.itemsize
    return np.frombuffer(data, dtype).reshape(shape)


@pytest.mark.reads("KNOSSOS's requests", "knossos")
def test_knossos_shows_every_mip(channel: Channel) -> None:
    base = str(channel.client.base_url).rstrip("/")
    (layer,) = opened(channel.client, f"{base}/knossos/exp/sam/dat/{channel.name}.k.toml")
    assert layer["URL"].startswith(base)
    assert layer["FileExtension"] == [".raw" if channel.kind == "image" else ".seg.sz.zip"]
    stop = np.add(channel.voxel_offset, channel.voxels.shape)
    assert layer["Extent_px"] == stop[::-1].tolist()
    assert len(layer["VoxelSize_nm"]) == len(channel.mips)
    for mip in channel.mips:
        np.testing.assert_allclose(layer["VoxelSize_nm"][mip], channel.scale(mip)[::-1])
        voxels, origin = channel.at_mip(mip), channel.origin(mip)
        ends = origin + voxels.shape
        side = layer["CubeShape_px"][0]
        whole = np.zeros([-(-end // side) * side for end in ends], "u8")
        for z, y, x in product(*(range(n // side) for n in whole.shape)):
            place = tuple(slice(at * side, (at + 1) * side) for at in (z, y, x))
            whole[place] = cube(channel.client, layer, mip + 1, (x, y, z))
        inside = tuple(slice(a, b) for a, b in zip(origin, ends, strict=True))
        np.testing.assert_array_equal(whole[inside], voxels)
        whole[inside] = 0
        assert not whole.any(), "blank outside the volume"
