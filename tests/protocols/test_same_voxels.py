"""The same physical point is the same voxel in every protocol, at every mip."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tensorstore as ts

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Channel

    Read = Callable[[np.ndarray], int]

JPEG_ERROR = 40
"""Levels by which a single voxel may differ after JPEG."""

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


def placed(store: Any, scale: Any, translation: Any, swapped: bool = False) -> Read:
    """Read an array whose metadata give the centre of its first voxel."""

    def read(point: np.ndarray) -> int:
        corner = np.array(translation) - np.array(scale) / 2
        place = point[::-1] if swapped else point
        index = np.floor((place - corner) / np.array(scale)).astype(int).tolist()
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
    return placed(store, place["scale"], place["translate"], swapped=True)


def ndstore(channel: Channel, mip: int) -> Read:
    def read(point: np.ndarray) -> int:
        z, y, x = channel.section_of(point, mip)
        place = f"{mip}/{x},{x + 1}/{y},{y + 1}/{z},{z + 1}"
        got = channel.client.get(f"/nd/ca/exp::sam::dat/{channel.name}/npz/{place}/")
        return one(np.load(io.BytesIO(zlib.decompress(got.content))))

    return read


def boss(channel: Channel, mip: int) -> Read:
    def read(point: np.ndarray) -> int:
        z, y, x = np.floor(point / channel.scale(mip)).astype(int).tolist()
        place = f"{mip}/{x}:{x + 1}/{y}:{y + 1}/{z}:{z + 1}"
        got = channel.client.get(
            f"/v1/cutout/exp/sam::dat/{channel.name}/{place}/",
            headers={"accept": "application/blosc"},
        )
        return one(np.frombuffer(imagecodecs.blosc_decode(got.content), channel.voxels.dtype))

    return read


def tiles(channel: Channel, mip: int) -> Read:
    """Read the red, green and blue of a pixel: the lowest 24 bits of an id."""

    def read(point: np.ndarray) -> int:
        section, y, x = channel.section_of(point, mip) - channel.origin(mip) * (0, 1, 1)
        name = f"{mip}/{section}/{y // 512}/{x // 512}.png?view=rgb"
        pixels = imagecodecs.png_decode(
            channel.client.get(f"{channel.url('tiles')}/{name}").content
        )
        red, green, blue = pixels[y % 512, x % 512].astype(int).tolist()
        return int(red if channel.kind == "image" else red + 256 * green + 65536 * blue)

    return read


def test_every_protocol_has_the_same_voxel_at_the_same_point(channel: Channel) -> None:
    random = np.random.default_rng(11)
    for mip in channel.mips:
        readers = {
            "api": api(channel, mip),
            "pre": precomputed(channel, mip),
            "zarr": ome_zarr(channel, mip, "zarr", "zarr"),
            "zarr3": ome_zarr(channel, mip, "zarr3", "zarr3"),
            "n5": n5(channel, mip),
            "nd": ndstore(channel, mip),
            "boss": boss(channel, mip),
            "tiles": tiles(channel, mip),
        }
        if channel.kind == "segmentation":
            packed = "compressed_segmentation/"
            readers["compressed"] = precomputed(channel, mip, packed)
        else:
            readers["png"] = precomputed(channel, mip, "png/")
            readers["jpeg"] = precomputed(channel, mip, "jpeg/")
        whole = channel.at_mip(mip)
        for _ in range(8):
            index = random.integers(0, whole.shape)
            # Anywhere within the voxel but on its faces.
            inside = random.uniform(0.1, 0.9, 3)
            point = (channel.origin(mip) + index + inside) * channel.scale(mip)
            truth = int(whole[tuple(index)])
            found = {name: read(point) for name, read in readers.items()}
            assert abs(found.pop("jpeg", truth) - truth) <= JPEG_ERROR
            assert found.pop("tiles") == truth & 0xFFFFFF
            assert found == dict.fromkeys(found, truth), (mip, index)
