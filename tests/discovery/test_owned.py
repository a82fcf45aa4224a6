"""Files that belong to the channel of another file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.discovery.owned import Owned
from bfly.sources.bdv import BigDataViewer
from bfly.sources.npy import Npy
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume
from tests.fixtures.bdv_pair import write

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_channel_owns_and_all_below_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, {(0, 0): random_volume((4, 8, 8), "uint16")}, backend="n5")
    (tmp_path / "link").symlink_to(folder)
    owned = Owned()
    assert f"{folder}/dataset.n5" not in owned
    owned.add(Npy, str(folder / "v.npy"), Files())
    owned.add(BigDataViewer, str(folder / "damaged.xml"), Files())
    assert f"{folder}/dataset.n5" not in owned
    owned.add(BigDataViewer, str(path), Files())
    for each in (f"{folder}/dataset.n5", f"{tmp_path}/link/dataset.n5/setup0/timepoint0#c=1"):
        assert each in owned
    for each in (path, folder, f"{folder}/dataset.n5x", f"{folder}/dataset", "/"):
        assert str(each) not in owned
