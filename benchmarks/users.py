"""What users have today, and Butterfly in its place: the same data, client and machine.

CloudVolume reads its files itself, zarr-python reads them over Python's own ``http.server``, and
Neuroglancer asks its Python package for chunks of an HDF5 dataset. All run as they come, without
settings; so does Butterfly, which alone keeps what it has read (1 GiB at most, more than the
volume). Butterfly is asked through the protocol that the client speaks, and once more in one
request for all the voxels, as a client without any library would. The page cache is warm.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from cloudvolume import CloudVolume

from benchmarks.client import get
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, files_over_http, local_volume
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Read = Callable[[BoundingBox], Voxels]

__all__ = ["BFLY", "REQUEST", "Users", "measure"]

SIDE = 64
SHAPES = {(64, 64, 64): 4, (1, 512, 512): 4, (256, 256, 256): 1}
"""Of the cutouts (z, y, x), and how many rounds of each where there is one."""

BFLY, REQUEST = "bfly", "bfly, one request"


@dataclass
class Users:
    """Cutouts that one client reads.

    Parameters
    ----------
    client : str
        Who asks, and what for.
    peer : str
        Who answers, where it is not Butterfly; its name in `samples`.
    version : str
        Whose version counts, one of `benchmarks.peers.machine`.
    shape : tuple of int
        (z, y, x), in voxels.
    samples : Samples
        Seconds of a cutout.
    """

    client: str
    peer: str
    version: str
    shape: tuple[int, int, int]
    samples: Samples


def measure(paths: dict[str, Path], truth: Voxels, rounds: int) -> Iterator[Users]:
    """Measure what each client waits for, `rounds` times or more where a cutout is small.

    Parameters
    ----------
    paths, truth
        See `benchmarks.cutouts.measure`.
    rounds : int
        Of the largest cutouts.

    Raises
    ------
    WrongAnswer
        Somebody did not give the volume's voxels.
    """
    served = {"precomputed": "precomputed", "zarr": "zarr 2", "hdf5": "hdf5"}
    channels = [{"name": name, "path": str(paths[kind])} for name, kind in served.items()]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    config = {"bfly": {"experiments": [{"name": "e", "samples": samples}]}}
    with contextlib.ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfly-bench-")))
            for _ in range(3)
        ]
        port = stack.enter_context(bfly(folders[0], config))
        ours = f"http://{HOST}:{port}"
        over = stack.enter_context(files_over_http(folders[1], paths["zarr 2"].parent))
        theirs = stack.enter_context(local_volume(folders[2], str(paths["hdf5"])))
        cloudvolume = {
            "the files itself": _cloudvolume(f"precomputed://file://{paths['precomputed']}"),
            BFLY: _cloudvolume(f"precomputed://{ours}/pre/e::s::d/precomputed"),
            REQUEST: _request(ours, "precomputed"),
        }
        python = {
            "http.server": _zarr(f"http://{HOST}:{over}/{paths['zarr 2'].name}"),
            BFLY: _zarr(f"{ours}/zarr/e::s::d/zarr/0"),
            REQUEST: _request(ours, "zarr"),
        }
        viewer = {"LocalVolume": _local(f"http://{HOST}:{theirs}"), BFLY: _chunk(ours)}
        for shape, times in SHAPES.items():
            for client, version, readers in (
                ("CloudVolume", "cloud-volume", cloudvolume),
                ("zarr-python", "zarr", python),
            ):
                yield _compared(client, version, readers, shape, 1, truth, rounds * times)
        client = "a chunk, as Neuroglancer asks"
        shape = SIDE, SIDE, SIDE
        yield _compared(client, "neuroglancer", viewer, shape, SIDE, truth, rounds * 4)


def _compared(
    client: str,
    version: str,
    readers: dict[str, Read],
    shape: tuple[int, int, int],
    step: int,
    truth: Voxels,
    rounds: int,
) -> Users:
    contestants = {
        who: _sampling(f"{client}: {who}", read, shape, step, truth)
        for who, read in readers.items()
    }
    peer = next(iter(readers))
    return Users(client, peer, version, shape, interleaved(rounds, contestants))


def _sampling(
    who: str, read: Read, shape: tuple[int, int, int], step: int, truth: Voxels
) -> Callable[[], float]:
    """Give what times the next of some random boxes, the same ones for all readers."""
    random = np.random.default_rng(0)
    room = [(n - s) // step + 1 for n, s in zip(truth.shape, shape, strict=True)]

    def sample() -> float:
        z, y, x = (random.integers(0, room) * step).tolist()
        box = BoundingBox.of_shape(shape, (z, y, x))
        start = time.perf_counter()
        voxels = read(box)
        seconds = time.perf_counter() - start
        if not np.array_equal(voxels, truth[box.slices]):
            raise WrongAnswer(f"{who}: the cutout {box} is not as written")
        return seconds

    return sample


def _cloudvolume(url: str) -> Read:
    array = CloudVolume(url, progress=False)
    return lambda box: np.asarray(array[box.slices[::-1]])[..., 0].T


def _zarr(url: str) -> Read:
    # fsspec takes :: for its own.
    array = zarr.open_array(url.replace("::", "%3A%3A"), mode="r")
    return lambda box: np.asarray(array[box.slices])


def _request(server: str, channel: str) -> Read:
    def read(box: BoundingBox) -> Voxels:
        (z, y, x), (depth, height, width) = box.start, box.shape
        place = f"z={z}&y={y}&x={x}&depth={depth}&height={height}&width={width}"
        of = f"/api/data?experiment=e&sample=s&dataset=d&channel={channel}&format=raw"
        return np.frombuffer(get(f"{server}{of}&{place}"), np.uint8).reshape(box.shape)

    return read


def _chunk(server: str) -> Read:
    def read(box: BoundingBox) -> Voxels:
        (z, y, x), (depth, height, width) = box.start, box.shape
        ends = f"{x}-{x + width}_{y}-{y + height}_{z}-{z + depth}"
        return np.frombuffer(get(f"{server}/pre/e::s::d/hdf5/0/{ends}"), np.uint8).reshape(
            box.shape
        )

    return read


def _local(server: str) -> Read:
    def read(box: BoundingBox) -> Voxels:
        start, stop = (",".join(map(str, ends)) for ends in (box.start, box.stop))
        answer = get(f"{server}/neuroglancer/npz/viewer.em/1,1,1/{start}/{stop}")
        # Not numpy's archive, whatever its name says.
        voxels: Voxels = np.load(io.BytesIO(zlib.decompress(answer))).reshape(box.shape)
        return voxels

    return read
