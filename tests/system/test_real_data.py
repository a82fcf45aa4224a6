"""FIB-25 found by the scan of the command, and served at every mip.

The coarser mips are computed here a second time, with numpy and scipy.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest
from scipy import stats

from bfly.butterfly import Butterfly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

CHANNELS = ["grayscale", "groundtruth.h5", "oversegmented_stack_labels.h5"]
MIPS = range(4)
AT = {"experiment": "root", "sample": "fib25", "dataset": "fib25"}


def halve(volume: np.ndarray, mip: int, image: bool) -> np.ndarray:
    """Reduce y and x by 2^mip, over the voxels that are there."""
    size = 1 << mip
    depth, *rest = volume.shape
    height, width = (-(-n // size) for n in rest)
    blocks = np.full((depth, height * size, width * size), np.nan)
    blocks[:, : rest[0], : rest[1]] = volume
    blocks = blocks.reshape(depth, height, size, width, size).swapaxes(2, 3)
    blocks = blocks.reshape(depth, height, width, size * size)
    if image:
        return np.rint(np.nanmean(blocks, axis=-1)).astype(volume.dtype)
    return mode_of(blocks).astype(volume.dtype)


def mode_of(blocks: np.ndarray) -> np.ndarray:
    """Return the smallest most frequent value along the last axis, of those that are there."""
    full = ~np.isnan(blocks).any(axis=-1)
    result = np.zeros(blocks.shape[:-1])
    result[full] = stats.mode(blocks[full], axis=-1).mode
    for place in np.argwhere(~full):
        block = blocks[tuple(place)]
        values, counts = np.unique(block[~np.isnan(block)], return_counts=True)
        result[tuple(place)] = values[counts == counts.max()].min()
    return result


@pytest.fixture(scope="module")
def truth(fib25: Path) -> dict[tuple[str, int], np.ndarray]:
    """All channels at all mips, read without Butterfly."""
    sections = sorted((fib25 / "grayscale").glob("*.png"))
    volumes = {CHANNELS[0]: np.stack([imagecodecs.png_decode(s.read_bytes()) for s in sections])}
    for name in CHANNELS[1:]:
        with h5py.File(fib25 / name) as file:
            volumes[name] = file["stack"][:]
    return {
        (name, mip): halve(volume, mip, image=name == CHANNELS[0]) if mip else volume
        for name, volume in volumes.items()
        for mip in MIPS
    }


@pytest.fixture(scope="module")
def client(fib25: Path, serve) -> Iterator[httpx.Client]:
    with serve(Butterfly(str(fib25)).config) as client:
        yield client


def test_the_folder_alone_is_enough(client) -> None:
    assert client.get("/api/channels", params=AT).json() == CHANNELS
    for name, kind, dtype in zip(
        CHANNELS, ("stack", "hdf5", "hdf5"), ("uint8", "uint32", "uint32"), strict=True
    ):
        got = client.get("/api/channel_metadata", params={**AT, "channel": name}).json()
        assert (got["source-type"], got["data-type"]) == (kind, dtype)
        assert got["dimensions"] == {"x": 250, "y": 250, "z": 250}


def random_boxes(count: int) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    random = np.random.default_rng(7)
    for i in range(count):
        name, mip = CHANNELS[i % 3], int(random.integers(len(MIPS)))
        shape = np.array([250, -(-250 >> mip), -(-250 >> mip)])
        shape[1:] = [-(-250 // (1 << mip))] * 2
        start = random.integers(0, shape)
        yield name, mip, start, random.integers(start + 1, shape + 1)


def test_200_random_boxes_equal_numpy(client, truth) -> None:
    for name, mip, start, stop in random_boxes(200):
        (z, y, x), (depth, height, width) = start.tolist(), (stop - start).tolist()
        words = {"x": x, "y": y, "z": z, "width": width, "height": height, "depth": depth}
        words |= {**AT, "channel": name, "resolution": mip}
        expected = truth[name, mip][tuple(map(slice, start, stop))]
        raw = client.get("/api/data", params={**words, "format": "raw"}).content
        assert raw == expected.tobytes()
        npz = client.get("/api/data", params={**words, "format": "npz"}).content
        assert np.array_equal(np.load(io.BytesIO(zlib.decompress(npz)))[0], expected)
