"""Archives whose volume is in a folder, and single-file OME-Zarr."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.sources.n5.source import N5
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.shared.zip_entries import folder_in
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from tests.sources.n5.test_source import write_n5
from tests.sources.precomputed.test_packed import write as write_precomputed

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = random_volume((5, 40, 33), "uint8")


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    """Pack a folder into an archive, below a name, as the programs of systems do."""
    with zipfile.ZipFile(archive, "w") as made:
        if top:
            made.writestr(top, "")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            made.write(file, top + file.relative_to(folder).as_posix())
    return archive


def write_array(path: Path, volume: Any = VOLUME, zarr_format: int = 3) -> Path:
    made = zarr.create_array(
        str(path),
        **{"shape": volume.shape, "chunks": (2, 16, 16), "dtype": volume.dtype},
        **{"zarr_format": zarr_format},
    )
    made[...] = volume
    return path


def write_pyramid(path: Path) -> Path:
    group = zarr.create_group(str(path), zarr_format=3)
    for name, level in (("0", VOLUME), ("1", VOLUME[:, ::2, ::2])):
        write_array(path / name, level)
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    datasets = [
        {"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for name, scale in (("0", [40, 4, 4]), ("1", [40, 8, 8]))
    ]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return path


def read(source: Any, mip: int = 0) -> Any:
    return source.read(mip, source.scales[mip].box)


class TestFolderInside(SourceSuite):
    source = Zarr
    dtypes = ("uint8", "uint64")

    def write(self, folder, volume):
        path = pack(write_array(folder / "a", volume), folder / "v.zip", "x.zarr/")
        shutil.rmtree(folder / "a")
        return path


@pytest.mark.parametrize("top", ["", "x.zarr/", "data/x.zarr/"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_is_found_in_its_folder(tmp_path, top, zarr_format) -> None:
    path = pack(write_array(tmp_path / "a", VOLUME, zarr_format), tmp_path / "v.zip", top)
    assert Zarr.guess_can_open(str(path))
    assert np.array_equal(read(Zarr.open(str(path))), VOLUME)


def test_n5_and_precomputed_are_found_too(tmp_path) -> None:
    path = pack(write_n5(tmp_path / "a", VOLUME), tmp_path / "a.zip", "x.n5/")
    assert np.array_equal(read(N5.open(str(path))), VOLUME)
    path = pack(write_precomputed(tmp_path / "b", VOLUME), tmp_path / "b.zip", "x/")
    assert np.array_equal(read(Precomputed.open(str(path))), VOLUME)


def test_scales_of_n5_are_not_taken_for_the_folder(tmp_path) -> None:
    write_n5(tmp_path / "a" / "s0", VOLUME)
    path = pack(tmp_path / "a", tmp_path / "a.zip")
    assert np.array_equal(read(N5.open(str(path))), VOLUME)
    path = pack(tmp_path / "a", tmp_path / "b.zip", "x.n5/")
    assert np.array_equal(read(N5.open(str(path))), VOLUME)


def test_a_zipped_ome_zarr_is_a_channel(tmp_path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    made = pack(write_pyramid(tmp_path / "a"), folder / "em.ozx")
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = json.dumps({"ome": {"version": "0.5"}}).encode()
    found = scan(str(folder), Files())
    (channel,) = found.experiments[0].samples[0].datasets[0].channels
    assert channel.path == str(made)
    source = Zarr.open(channel.path)
    assert source.voxel_size == (40, 4, 4)
    assert np.array_equal(read(source), VOLUME)
    assert np.array_equal(read(source, 1), VOLUME[:, ::2, ::2])


def test_what_finder_adds_does_not_matter(tmp_path) -> None:
    path = pack(write_array(tmp_path / "a"), tmp_path / "v.zip", "x.zarr/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/x.zarr/._zarr.json", "x")
        archive.writestr(".DS_Store", "x")
    assert np.array_equal(read(Zarr.open(str(path))), VOLUME)


def test_a_folder_beside_another_is_not_chosen(tmp_path) -> None:
    path = pack(write_array(tmp_path / "a"), tmp_path / "v.zip", "x.zarr/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.zarr/zarr.json", "{}")
    assert not Zarr.guess_can_open(str(path))
    with pytest.raises(SourceError, match="neither an array nor images"):
        Zarr.open(str(path))


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ([], ""),
        (["x/"], ""),
        (["x/y"], ""),
        (["zarr.json", "x/zarr.json"], ""),
        (["x/zarr.json"], "x/"),
        (["x/.zarray", "x/0.0"], "x/"),
        (["x/y/info"], "x/y/"),
        (["x/s0/attributes.json"], "x/"),
        (["xy/.zgroup", "xz/.zgroup"], ""),
    ],
)
def test_the_folder_of_the_volume(names, folder) -> None:
    assert folder_in(dict.fromkeys(names, 1)) == folder
