"""Master files of Eiger: one channel along z, of images in the files that links lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, SourceError
from bfly.sources.hdf5 import HDF5
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE = (9, 10)

GROUP = "entry/data"


class TestBitshuffle(SourceSuite):
    """Images compressed as the detector does, two in a file."""

    source = HDF5
    dtypes = ("uint16", "uint32", "uint8")

    def write(self, folder: Path, volume: np.ndarray) -> Path:
        return eiger(folder, [volume[z : z + 2] for z in range(0, len(volume), 2)])

    def voxel_file(self, path: Path) -> Path:
        return path.parent / "run_data_000001.h5"


def link(number: int) -> Any:
    return h5py.ExternalLink(f"run_data_{number:06}.h5", f"{GROUP}/data")


def eiger(folder: Path, images: list[np.ndarray], link: Callable[[int], Any] = link) -> Path:
    """Write a master file, and a file with images for each of its links."""
    with h5py.File(folder / "run_master.h5", "w") as master:
        master["entry/instrument/detector/pixel_mask"] = np.zeros(images[0].shape[1:], "u4")
        for number, each in enumerate(images, 1):
            with h5py.File(folder / f"run_data_{number:06}.h5", "w") as file:
                chunks = (1, *each.shape[1:])
                packed = hdf5plugin.Bitshuffle(cname="lz4")
                file.create_dataset(f"{GROUP}/data", data=each, chunks=chunks, compression=packed)
            master[f"{GROUP}/data_{number:06}"] = link(number)
    return folder / "run_master.h5"


def images_of(*counts: int) -> list[np.ndarray]:
    random = np.random.default_rng(7)
    return [random.integers(0, 60000, (count, *IMAGE)).astype("u4") for count in counts]


def check(path: Path, images: list[np.ndarray], part: str = "") -> None:
    source = HDF5.open(str(path), part=Part.parse(part))
    found = source.read(0, source.scales[0].box)
    np.testing.assert_array_equal(found, np.concatenate(images))


def channels_in(folder: Path) -> list[str]:
    found = scan(str(folder), Files())
    assert not found.skipped
    datasets = found.experiments[0].samples[0].datasets
    return [channel.name for dataset in datasets for channel in dataset.channels]


@pytest.mark.parametrize("counts", [(3,), (3, 3, 1)])
def test_a_master_and_its_files_are_one_channel(tmp_path: Path, counts: tuple[int, ...]) -> None:
    images = images_of(*counts)
    check(eiger(tmp_path, images), images)
    assert channels_in(tmp_path) == ["run_master.h5"]


def test_a_file_of_another_run_is_a_channel_of_its_own(tmp_path: Path) -> None:
    eiger(tmp_path, images_of(3, 1))
    (tmp_path / "run_master.h5").rename(tmp_path / "run.h5")
    assert channels_in(tmp_path) == ["run.h5", "run_data_000001.h5", "run_data_000002.h5"]


@pytest.mark.parametrize("gone", [{1}, {2}, {3}, {1, 2, 3}])
def test_missing_files_are_an_error_of_the_one_channel(tmp_path: Path, gone: set[int]) -> None:
    path = eiger(tmp_path, images_of(2, 2, 2))
    for number in gone:
        (tmp_path / f"run_data_{number:06}.h5").unlink()
    assert channels_in(tmp_path) == ["run_master.h5"]
    with pytest.raises(SourceError, match=rf"data_{min(gone):06} needs another file"):
        HDF5.open(str(path))


def test_the_only_file_is_missing(tmp_path: Path) -> None:
    path = eiger(tmp_path, images_of(2))
    (tmp_path / "run_data_000001.h5").unlink()
    with h5py.File(path, "a") as file:
        file["entry/flat"] = np.zeros((2, 3, 4))
    assert [str(part) for part in HDF5.parts(str(path), Files())] == ["", GROUP]
    with pytest.raises(SourceError, match=r"data_000001 needs another file"):
        HDF5.open(str(path), part=Part.parse(GROUP))


def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = eiger(tmp_path, images_of(2, 2))
    data = tmp_path / "run_data_000002.h5"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"run_data_000002\.h5"):
        check(path, images_of(2, 2))


def test_files_outside_the_allowed_folders_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    path = eiger(inside, images_of(2, 2))
    (inside / "run_data_000002.h5").rename(tmp_path / "run_data_000002.h5")
    (inside / "run_data_000002.h5").symlink_to(tmp_path / "run_data_000002.h5")
    check(path, images_of(2, 2))
    with pytest.raises(NotAllowed, match=r"run_data_000002\.h5"):
        HDF5.open(str(path), files=Files([str(inside)]))


def test_soft_links_number_the_images(tmp_path: Path) -> None:
    images = images_of(2, 2, 2)
    path = eiger(tmp_path, images, lambda n: h5py.SoftLink(f"/files/f{4 - n}/{GROUP}/data"))
    with h5py.File(path, "a") as file:
        for number in (1, 2, 3):
            # The names of what is behind the links are in another order.
            file[f"files/f{4 - number}"] = h5py.ExternalLink(f"run_data_{number:06}.h5", "/")
    assert [str(part) for part in HDF5.parts(str(path), Files())] == [""]
    assert channels_in(tmp_path) == ["run_master.h5"]
    check(path, images)
    with h5py.File(path, "a") as file:
        del file["files/f2"]
    with pytest.raises(SourceError, match="data_000002"):
        HDF5.open(str(path))


def test_images_that_were_copied_into_the_master(tmp_path: Path) -> None:
    images = images_of(2, 1)
    path = tmp_path / "copied.h5"
    with h5py.File(path, "w") as file:
        for number, each in enumerate(images, 1):
            file[f"{GROUP}/data_{number:06}"] = each
            file[f"elsewhere/data_{number:06}"] = each
    parts = [str(part) for part in HDF5.parts(str(path), Files())]
    assert parts == ["", "elsewhere/data_000002", GROUP]
    check(path, images, GROUP)
