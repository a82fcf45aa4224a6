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
    sections: tuple[int, ...] = (1, 1, 1, 1)
    """How many sections make one, at each mip."""

    def url(self, prefix: str) -> str:
        """Give its folder in a dialect, without a slash at the end."""
        return f"{str(self.client.base_url).rstrip('/')}/{prefix}/exp::sam::dat/{self.name}"

    def quoted(self, prefix: str) -> str:
        """Give the same folder for fsspec, which takes ``::`` for its own."""
        return self.url(prefix).replace("::", "%3A%3A")

    def at_mip(self, mip: int) -> np.ndarray:
        if mip == 0:
            return self.voxels
        return downsample(self.voxels, self.offset, self.factor(mip), self.kind)

    def factor(self, mip: int) -> tuple[int, int, int]:
        """How many voxels of mip 0 make one, zyx."""
        return self.sections[mip], 2**mip, 2**mip

    def as_cloudvolume_counts(self, mip: int) -> np.ndarray:
        """Give `at_mip` as CloudVolume's readers of zarr and N5 see it.

        They work the size of a coarser mip out of that of mip 0, without the offset, and so can
        miss the last section, row and column.
        """
        sizes = zip(self.voxels.shape, self.factor(mip), strict=True)
        return self.at_mip(mip)[tuple(slice(-(-size // by)) for size, by in sizes)]

    def scale(self, mip: int) -> np.ndarray:
        """The size of a voxel in nanometres, zyx."""
        return np.array(self.voxel_size) * self.factor(mip)

    def origin(self, mip: int) -> np.ndarray:
        """Where the first voxel lies, in voxels of the mip, zyx."""
        return np.array(self.offset) // self.factor(mip)

    def with_all_sections(self, mip: int) -> np.ndarray:
        """Give `at_mip` with a section for each of mip 0, as NDStore and ``/api`` count them."""
        first, sections = self.offset[0], self.voxels.shape[0]
        return self.at_mip(mip)[
            np.arange(first, first + sections) // self.sections[mip] - self.origin(mip)[0]
        ]

    def first_section(self, mip: int) -> np.ndarray:
        """Give `origin` with z as NDStore and ``/api`` count it."""
        return np.array([self.offset[0], *self.origin(mip)[1:]])

    def section_of(self, point: np.ndarray, mip: int) -> list[int]:
        """Give the voxel of a mip at a point (nanometres), its z counted at mip 0."""
        voxel = point / self.scale(mip)
        voxel[0] = point[0] / self.voxel_size[0]
        return np.floor(voxel).astype(int).tolist()

    @property
    def mips(self) -> range:
        """All that are offered: down to a section of 64 x 64 voxels."""
        sizes = (max(self.at_mip(mip).shape[1:]) for mip in range(9))
        return range(1 + next(mip for mip, size in enumerate(sizes) if size <= 64))


@pytest.fixture(scope="session")
def random_labels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Ids above 2^53, in a file and in memory."""
    ids = np.random.default_rng(0).integers(2**53, 2**64, 40, np.uint64)
    voxels = np.random.default_rng(1).choice(ids, (50, 150, 200))
    path = tmp_path_factory.mktemp("protocols") / "seg.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(32, 32, 32), compression="gzip")
    return path, voxels


@pytest.fixture(scope="session")
def labels(
    random_labels: tuple[Path, np.ndarray], process: Callable, make_tree: Callable
) -> Iterator[Served]:
    """Random labels at an odd offset, with flat voxels of three different sizes."""
    path, voxels = random_labels
    place = {"offset": (4, 10, 7), "voxel_size": (40, 4, 3.58)}
    with process(make_tree({"name": "seg", "path": str(path), **place})) as client:
        yield {"seg": Channel(client, "seg", voxels, "segmentation", **place)}


@pytest.fixture(scope="session")
def near_isotropic(
    random_labels: tuple[Path, np.ndarray], process: Callable, make_tree: Callable
) -> Iterator[Served]:
    """The same with voxels so little flat that sections too are halved, from mip 2 on."""
    path, voxels = random_labels
    place = {"offset": (3, 10, 7), "voxel_size": (8, 4, 3.58)}
    with process(make_tree({"name": "near", "path": str(path), **place})) as client:
        yield {"near": Channel(client, "near", voxels, "segmentation", **place, sections=(1, 1, 2))}


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
                sections=(1, 2, 4),
            )
            for name, array in voxels.items()
        }


@pytest.fixture(
    params=["seg", "near", "grayscale", "groundtruth.h5", "oversegmented_stack_labels.h5"],
)
def channel(request: pytest.FixtureRequest) -> Channel:
    """Each channel of both servers."""
    servers = {"seg": "labels", "near": "near_isotropic"}
    return request.getfixturevalue(servers.get(request.param, "fib25_served"))[request.param]
