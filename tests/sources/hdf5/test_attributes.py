"""Voxel sizes and positions in attributes of HDF5 datasets and groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.sources.hdf5.source import HDF5

if TYPE_CHECKING:
    from pathlib import Path

SIZE, OFFSET = [40.0, 4.0, 4.0], [80.0, 12.0, 16.0]
PLACE = (2, 3, 4)


def write(path: Path, **attributes: dict[str, Any]) -> str:
    """Write a file with a dataset in a group; the keywords are the attributes of each."""
    with h5py.File(path, "w") as file:
        file.create_dataset("group/main", data=np.ones((3, 4, 5), "u1"))
        for name, words in attributes.items():
            holder = file["group/main"] if name == "main" else file["group"]
            holder.attrs.update(words)
    return str(path)


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"main": {"resolution": SIZE, "offset": OFFSET}}, PLACE),
        ({"main": {"offset": OFFSET}, "group": {"resolution": SIZE}}, PLACE),
        ({"group": {"resolution": SIZE, "offset": OFFSET}}, PLACE),
        # A dataset with a size of its own begins at 0 unless it states a position too.
        ({"main": {"resolution": SIZE}, "group": {"offset": OFFSET}}, (0, 0, 0)),
        ({"main": {"resolution": SIZE, "offset": [np.nan] * 3}}, (0, 0, 0)),
    ],
)
def test_the_dataset_counts_before_its_group(
    tmp_path: Path, attributes: dict[str, Any], place: tuple[int, ...]
) -> None:
    source = HDF5.open(write(tmp_path / "a.h5", **attributes))
    assert source.scales[0].origin == place
    assert source.voxel_size == (40, 4, 4)


def test_the_configured_size_serves_where_the_file_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", main={"offset": OFFSET})
    assert HDF5.open(path, voxel_size=(40, 4, 4)).scales[0].origin == PLACE
    # A size in the file has the unit of its offset, whatever the configuration has.
    path = write(tmp_path / "b.h5", main={"offset": OFFSET, "resolution": SIZE})
    assert HDF5.open(path, voxel_size=(1, 1, 1)).scales[0].origin == PLACE


def test_several_files_begin_where_the_first_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def pointer(*parts: dict[str, Any]) -> tuple[int, ...]:
        (tmp_path / "p.json").write_text(json.dumps(parts))
        return HDF5.open(str(tmp_path / "p.json")).scales[0].origin

    for name, offset in (("a", OFFSET), ("b", [200.0, 12.0, 16.0]), ("c", [200.0, 0.0, 0.0])):
        write(tmp_path / name, main={"offset": offset, "resolution": SIZE})
    assert pointer({"filename": "a"}, {"filename": "b"}) == PLACE
    assert not caplog.messages
    # The sections that a pointer states count for z.
    assert pointer({"filename": "a", "z-offset": 7}) == (0, 3, 4)
    assert pointer({"filename": "a"}, {"filename": "c"}) == PLACE
    assert "its files state different positions; the first counts" in caplog.text
