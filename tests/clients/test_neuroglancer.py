"""Neuroglancer shows every protocol that it reads, with each voxel in its place."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from contextlib import contextmanager
from queue import Queue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
import trustme

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.fixtures.channels import Channel

VALUES = """(offsets) => {
  const {names, scales} = viewer.coordinateSpace.value;
  const middle = viewer.position.value;
  const {layer} = viewer.layerManager.managedLayers[0];
  return {
    names,
    sizes: Array.from(scales, (metres) => metres * 1e9),
    points: offsets.map((offset) => {
      const at = Float32Array.from(middle, (x, i) => Math.floor(x) + 0.5 + offset[i]);
      return [Array.from(at), String(layer.getValueAt(at, {pickedRenderLayer: null}))];
    }),
  };
}"""
"""What Neuroglancer says is at places near the middle of its window."""

AROUND = [[dx, dy, 0] for dx in (-9, 0, 5) for dy in (-7, 0, 8)]

JPEG_ERROR = 40
"""Levels by which a single voxel may differ after JPEG."""


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """What Neuroglancer looks for to tell an array from a group, and other versions from these."""
    return (".zarray", ".zgroup", ".zattrs", "zarr.json", "attributes.json")


@contextmanager
def https(port: int) -> Iterator[str]:
    """Yield the address of a proxy that speaks TLS in front of a port of this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def pump(source: StreamReader, sink: StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # The browser went away.
        finally:
            sink.close()

    writers: set[StreamWriter] = set()

    async def relay(reader: StreamReader, writer: StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, outer))
        await asyncio.gather(pump(reader, outer), pump(inner, writer))

    started: Queue[tuple[int, Callable[[], object]]] = Queue()

    async def serve() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        number = server.sockets[0].getsockname()[1]
        started.put((number, lambda: loop.call_soon_threadsafe(end.set)))
        await end.wait()
        server.close()
        for writer in writers:
            writer.transport.abort()
        # What is aborted is closed in the next turn of the loop.
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    number, end = started.get(timeout=30)
    yield f"https://127.0.0.1:{number}"
    end()
    thread.join()


def shown(channel: Channel, source: str) -> str:
    """Return the address of Neuroglancer with one layer, about one pixel a voxel."""
    words: dict[str, Any] = {
        "layers": [
            {
                "name": channel.name,
                "type": channel.kind,
                "source": source,
            }
        ],
        "layout": "xy",
        "showAxisLines": False,
    }
    return f"{channel.client.base_url}/ng/#!{quote(json.dumps(words))}"


def check(channel: Channel, found: dict[str, Any], placed: bool = True, tolerance: int = 0) -> None:
    """Compare what Neuroglancer says with the voxels."""
    order = [found["names"].index(axis) for axis in "zyx"]
    sizes = np.array(found["sizes"])[order]
    for point, value in found["points"]:
        place = np.array(point)[order] * sizes / channel.voxel_size
        index = np.floor(place).astype(int) - (channel.voxel_offset if placed else 0)
        truth = int(channel.voxels[tuple(index)])
        assert value.isdecimal(), (point, value)
        assert abs(int(value) - truth) <= tolerance, (point, value, truth)


SOURCES = {
    "precomputed raw": "precomputed://{url}/pre/exp/sam/dat/{name}/raw",
    "precomputed png": "precomputed://{url}/pre/exp/sam/dat/{name}/png",
    "precomputed jpeg": "precomputed://{url}/pre/exp/sam/dat/{name}/jpeg",
    "precomputed compressed_segmentation": (
        "precomputed://{url}/pre/exp/sam/dat/{name}/compressed_segmentation"
    ),
    "zarr": "zarr://{url}/zarr/exp/sam/dat/{name}",
    "zarr3": "zarr3://{url}/zarr3/exp/sam/dat/{name}",
    "n5": "n5://{url}/n5/exp/sam/dat/{name}",
    "dvid": "dvid://{url}/{uuid}/{name}",
}

LOSSY = {"precomputed jpeg", "dvid"}
"""Protocols whose images are JPEG."""

OF_IMAGES = {"precomputed png", "precomputed jpeg"}

CASES = [
    (name, protocol)
    for name in ("seg", "grayscale", "groundtruth.h5")
    for protocol in SOURCES
    if protocol not in OF_IMAGES | {"precomputed compressed_segmentation"}
    or (protocol in OF_IMAGES) == (name == "grayscale")
]


@pytest.mark.reads("Neuroglancer", "{protocol}")
@pytest.mark.parametrize(("channel", "protocol"), CASES, indirect=["channel"])
def test_neuroglancer_has_the_voxels(
    channel: Channel, protocol: str, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    url = str(channel.client.base_url).rstrip("/")
    uuid = next(iter(channel.client.get("/api/repos/info").json()))
    source = SOURCES[protocol].format(url=url, name=channel.name, uuid=uuid)
    pixels = in_neuroglancer(shown(channel, source))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    # N5 has no word for a place that Neuroglancer knows.
    tolerance = JPEG_ERROR if protocol in LOSSY and channel.kind == "image" else 0
    check(channel, tab.evaluate(VALUES, AROUND), protocol != "n5", tolerance)


@pytest.mark.reads("Neuroglancer", "boss")
@pytest.mark.parametrize("channel", ["seg", "grayscale", "groundtruth.h5"], indirect=True)
def test_neuroglancer_has_the_voxels_of_bossdb(
    channel: Channel, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    with https(channel.client.base_url.port) as url:
        pixels = in_neuroglancer(shown(channel, f"boss://{url}/exp/sam::dat/{channel.name}"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
        tolerance = JPEG_ERROR if channel.kind == "image" else 0
        check(channel, tab.evaluate(VALUES, AROUND), tolerance=tolerance)


@pytest.mark.reads("Neuroglancer", "deepzoom")
@pytest.mark.parametrize("channel", ["grayscale"], indirect=True)
def test_neuroglancer_has_the_pixels_of_deep_zoom(
    channel: Channel, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    z = channel.voxels.shape[0] // 2
    address = f"{channel.url('tiles')}/{z}.rgb.jpg.dzi"
    pixels = in_neuroglancer(shown(channel, f"deepzoom://{address}"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    found = tab.evaluate(VALUES, [[dx, dy] for dx, dy, _ in AROUND])
    assert found["names"] == ["x", "y"]
    for point, values in found["points"]:
        x, y = (int(np.floor(at)) for at in point)
        colours = [int(value) for value in values.split(",")]
        truth = int(channel.voxels[z, y, x])
        assert len(colours) == 3
        assert max(abs(colour - truth) for colour in colours) <= JPEG_ERROR
