"""The same physical point is the same voxel in every protocol, at every mip."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tensorstore as ts
import tifffile

from bfly.encoders.views import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.channels import Channel

    Read = Callable[[np.ndarray], int]
    Look = Callable[[np.ndarray], list[int]]

JPEG_ERROR = 40
"""Levels by which a single voxel may differ after JPEG."""

PLANES = {"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)}
"""From a plane to the axes (of z, y, x) of its sections, rows and columns."""

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat", "format": "raw"}


def opened(spec: dict[str, Any]) -> Any:
    return ts.open(spec, read=True).result()


def one(voxels: np.ndarray) -> int:
    return int(np.asarray(voxels).ravel()[0])


def api(channel: Channel, mip: int) -> Read:
    def read(point: np.ndarray) -> int:
        z, y, x = channel.section_of(point, mip)
        words = {"z": z, "y": y, "x": x, "width": 1, "height": 1, "resolution": mip}
        got = channel.client.get("/api/data", params={**AT, "channel": channel.name, **words})
        return int.from_bytes(got.content, "little")

    return read


def precomputed(channel: Channel, mip: int, encoding: str = "") -> Read:
    kvstore = f"{channel.url('pre')}/{encoding}"
    store = opened({"driver": "neuroglancer_precomputed", "kvstore": kvstore, "scale_index": mip})
    scale = channel.client.get(f"{kvstore}info").json()["scales"][mip]

    def read(point: np.ndarray) -> int:
        x, y, z = np.floor(point[::-1] / scale["resolution"]).astype(int).tolist()
        return one(store[x, y, z, 0].read().result())

    return read


def placed(store: Any, scale: Any, translation: Any) -> Read:
    """Read an array by the centre of its first voxel, from its metadata."""

    def read(point: np.ndarray) -> int:
        corner = np.array(translation) - np.array(scale) / 2
        index = np.floor((point - corner) / np.array(scale)).astype(int).tolist()
        return one(store[tuple(index)].read().result())

    return read


def ome_zarr(channel: Channel, mip: int, prefix: str, driver: str) -> Read:
    root = channel.url(prefix)
    if driver == "zarr":
        scales = channel.client.get(f"{root}/.zattrs").json()["multiscales"]
    else:
        attributes = channel.client.get(f"{root}/zarr.json").json()["attributes"]
        scales = attributes["ome"]["multiscales"]
    dataset = scales[0]["datasets"][mip]
    words = {each["type"]: each[each["type"]] for each in dataset["coordinateTransformations"]}
    store = opened({"driver": driver, "kvstore": f"{root}/{dataset['path']}/"})
    return placed(store, words["scale"], words["translation"])


def n5(channel: Channel, mip: int) -> Read:
    root = f"{channel.url('n5')}/s{mip}/"
    place = channel.client.get(f"{root}attributes.json").json()["transform"]
    store = opened({"driver": "n5", "kvstore": root})
    # The array is x, y, z, its transform z, y, x.
    return placed(store.T, place["scale"], place["translate"])


def ndstore(channel: Channel, mip: int) -> Read:
    def read(point: np.ndarray) -> int:
        z, y, x = channel.section_of(point, mip)
        place = f"{mip}/{x},{x + 1}/{y},{y + 1}/{z},{z + 1}"
        got = channel.client.get(f"/nd/ca/exp::sam::dat/{channel.name}/npz/{place}/")
        return one(np.load(io.BytesIO(zlib.decompress(got.content))))

    return read


def nd_slice(channel: Channel, mip: int, plane: str) -> Look:
    """Return the pixel of a picture of one voxel; a TIFF has the voxel itself."""

    def look(point: np.ndarray) -> list[int]:
        z, y, x = channel.section_of(point, mip)
        # Of the axis across a slice, one number is enough.
        spans = {"x": f"{x},{x + 1}", "y": f"{y},{y + 1}", "z": f"{z},{z + 1}"}
        across = next(axis for axis in spans if axis not in plane)
        spans[across] = spans[across].partition(",")[0]
        place = "/".join(spans.values())
        got = channel.client.get(f"/nd/ca/exp::sam::dat/{channel.name}/{plane}/{mip}/{place}/")
        if plane == "xy":
            return [one(tifffile.imread(io.BytesIO(got.content)))]
        return pixel(imagecodecs.png_decode(got.content), 0, 0)

    return look


def boss(channel: Channel, mip: int, packed: str) -> Read:
    """Read a box of one voxel; its z is counted in sections of the mip."""

    def unpacked(content: bytes) -> np.ndarray:
        if packed == "npygz":
            return np.load(io.BytesIO(zlib.decompress(content)))
        return np.frombuffer(imagecodecs.blosc_decode(content), channel.voxels.dtype)

    def read(point: np.ndarray) -> int:
        z, y, x = np.floor(point / channel.scale(mip)).astype(int).tolist()
        place = f"{mip}/{x}:{x + 1}/{y}:{y + 1}/{z}:{z + 1}"
        got = channel.client.get(
            f"/v1/cutout/exp/sam::dat/{channel.name}/{place}/",
            headers={"accept": f"application/{packed}"},
        )
        return one(unpacked(got.content))

    return read


def dvid(channel: Channel, mip: int) -> Read:
    """Read a box of one voxel; a mip of an image is an instance of its own."""
    is_image = channel.kind == "image"
    name = f"{channel.name}_{mip}" if is_image and mip else channel.name
    (uuid,) = channel.client.get("/dvid/api/repos/info").json()

    def read(point: np.ndarray) -> int:
        z, y, x = np.floor(point / channel.scale(mip)).astype(int).tolist()
        place = f"/dvid/api/node/{uuid}/{name}/raw/0_1_2/1_1_1/{x}_{y}_{z}"
        got = channel.client.get(place if is_image else f"{place}?scale={mip}")
        return one(np.frombuffer(got.content, np.uint8 if is_image else np.uint64))

    return read


def tile(channel: Channel, mip: int, plane: str) -> Look:
    """Return a pixel of a tile: rows and columns count from the first voxel of the mip."""
    origin = channel.origin(mip) * (channel.sections[mip], 1, 1)

    def look(point: np.ndarray) -> list[int]:
        voxel = np.array(channel.section_of(point, mip))
        section, row, column = PLANES[plane]
        place = voxel - origin
        i, j = int(place[row]), int(place[column])
        name = f"{plane}/{mip}/{voxel[section]}/{i // 512}/{j // 512}.png?view=rgb"
        got = channel.client.get(f"{channel.url('tiles')}/{name}")
        return pixel(imagecodecs.png_decode(got.content), i % 512, j % 512)

    return look


def pixel(picture: np.ndarray, row: int, column: int) -> list[int]:
    return np.atleast_1d(picture[row, column]).tolist()


def as_seen(channel: Channel, truth: int, view: str) -> list[int]:
    """Return the pixel that shows a voxel."""
    voxels = np.full((1, 1, 1), truth, channel.voxels.dtype)
    (picture,) = render(voxels, view, channel.kind)
    return pixel(picture, 0, 0)


def points(channel: Channel, mip: int, shape: tuple[int, ...]) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield voxels of a mip, corners and others, and a point in each (nanometres).

    The outermost ones may cover sections of mip 0 that the volume does not have. They are there all
    the same for protocols that count sections of mip 0.
    """
    random = np.random.default_rng(11)
    corners = [np.zeros(3, int), np.array(shape) - 1]
    for index in [*corners, *(random.integers(0, shape) for _ in range(8))]:
        # Anywhere within the voxel but on its faces.
        point = (channel.origin(mip) + index + random.uniform(0.1, 0.9, 3)) * channel.scale(mip)
        yield tuple(index), point


def test_every_protocol_has_the_same_voxel_at_the_same_point(channel: Channel) -> None:
    for mip in channel.mips:
        readers = {
            "api": api(channel, mip),
            "pre": precomputed(channel, mip),
            "zarr": ome_zarr(channel, mip, "zarr", "zarr"),
            "zarr3": ome_zarr(channel, mip, "zarr3", "zarr3"),
            "n5": n5(channel, mip),
            "nd": ndstore(channel, mip),
            "boss blosc": boss(channel, mip, "blosc"),
            "boss npygz": boss(channel, mip, "npygz"),
        }
        if channel.factor(mip) == (2**mip,) * 3:
            readers["dvid"] = dvid(channel, mip)
        if channel.kind == "segmentation":
            packed = "compressed_segmentation/"
            readers["compressed"] = precomputed(channel, mip, packed)
        else:
            readers["png"] = precomputed(channel, mip, "png/")
            readers["jpeg"] = precomputed(channel, mip, "jpeg/")
        whole = channel.at_mip(mip)
        for index, point in points(channel, mip, whole.shape):
            truth = int(whole[index])
            found = {name: read(point) for name, read in readers.items()}
            assert abs(found.pop("jpeg", truth) - truth) <= JPEG_ERROR
            assert found == dict.fromkeys(found, truth), (mip, index)


@pytest.mark.parametrize("plane", PLANES)
def test_pictures_in_every_plane_show_the_voxel_at_the_point(channel: Channel, plane: str) -> None:
    for mip in channel.mips:
        whole = channel.at_mip(mip)
        tiles, slices = tile(channel, mip, plane), nd_slice(channel, mip, plane)
        for index, point in points(channel, mip, whole.shape):
            truth = int(whole[index])
            assert tiles(point) == as_seen(channel, truth, "rgb"), (mip, index)
            seen = [truth] if plane == "xy" else as_seen(channel, truth, "grayscale")
            assert slices(point) == seen, (mip, index)
