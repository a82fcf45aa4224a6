"""Two servers that the tests of protocols share: random labels in a hard place, and FIB-25."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest
from natsort import natsorted

from bfly.downsample import downsample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    Served = dict[str, "Channel"]


@dataclass
class Channel:
    """A served channel and what its voxels have to be."""

    client: httpx.Client
    name: str
    voxels: np.ndarray
    kind: str
    offset: tuple[int, int, int] = (0, 0, 0)
    voxel_size: tuple[float, float, float] = (1, 1, 1)

    def url(self, prefix: str) -> str:
        """Give its folder in a dialect, without a slash at the end."""
        return f"{str(self.client.base_url).rstrip('/')}/{prefix}/exp::sam::dat/{self.name}"

    def quoted(self, prefix: str) -> str:
        """Give the same folder for fsspec, which takes ``::`` for its own."""
        return self.url(prefix).replace("::", "%3A%3A")

    def at_mip(self, mip: int) -> np.ndarray:
        if mip == 0:
            return self.voxels
        return downsample(self.voxels, self.offset, (1, 2**mip, 2**mip), self.kind)

    def as_cloudvolume_counts(self, mip: int) -> np.ndarray:
        """Give `at_mip` as CloudVolume's readers of zarr and N5 see it.

        They work the size of a coarser mip out of that of mip 0, without the offset, and so can
        miss the last row and column.
        """
        _, height, width = self.voxels.shape
        return self.at_mip(mip)[:, : -(-height // 2**mip), : -(-width // 2**mip)]

    def scale(self, mip: int) -> np.ndarray:
        """The size of a voxel in nanometres, zyx."""
        return np.array(self.voxel_size) * (1, 2**mip, 2**mip)

    def origin(self, mip: int) -> np.ndarray:
        """Where the first voxel lies, in voxels of the mip, zyx."""
        return np.array(self.offset) >> (0, mip, mip)

    @property
    def mips(self) -> range:
        """All that are offered: down to a section of 64 x 64 voxels."""
        sizes = (max(self.at_mip(mip).shape[1:]) for mip in range(9))
        return range(1 + next(mip for mip, size in enumerate(sizes) if size <= 64))


@pytest.fixture(scope="session")
def labels(
    tmp_path_factory: pytest.TempPathFactory, process: Callable, make_tree: Callable
) -> Iterator[Served]:
    """Ids above 2^53 at an odd offset, with voxels of three different sizes."""
    ids = np.random.default_rng(0).integers(2**53, 2**64, 40, np.uint64)
    voxels = np.random.default_rng(1).choice(ids, (50, 150, 200))
    path = tmp_path_factory.mktemp("protocols") / "seg.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(32, 32, 32), compression="gzip")
    place = {"offset": (4, 10, 7), "voxel_size": (40, 4, 3.58)}
    with process(make_tree({"name": "seg", "path": str(path), **place})) as client:
        yield {"seg": Channel(client, "seg", voxels, "segmentation", **place)}


@pytest.fixture(scope="session")
def fib25_served(fib25: Path, process: Callable, make_tree: Callable) -> Iterator[Served]:
    """Real EM and labels."""
    sections = natsorted((fib25 / "grayscale").iterdir())
    voxels = {"grayscale": np.stack([imagecodecs.imread(str(path)) for path in sections])}
    for name in ("groundtruth.h5", "oversegmented_stack_labels.h5"):
        with h5py.File(fib25 / name) as file:
            dataset = file["stack"]
            voxels[name] = dataset[:].view(np.uint32)
    channels = [
        {"name": name, "path": str(fib25 / name), "voxel_size": [8, 8, 8]} for name in voxels
    ]
    with process(make_tree(*channels)) as client:
        yield {
            name: Channel(
                client,
                name,
                array,
                "image" if name == "grayscale" else "segmentation",
                voxel_size=(8, 8, 8),
            )
            for name, array in voxels.items()
        }


@pytest.fixture(
    params=["seg", "grayscale", "groundtruth.h5", "oversegmented_stack_labels.h5"],
)
def channel(request: pytest.FixtureRequest) -> Channel:
    """Each channel of both servers."""
    server = "labels" if request.param == "seg" else "fib25_served"
    return request.getfixturevalue(server)[request.param]
