"""Views, formats and queries that the core makes without its cache, and answers in dialects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from pathlib import Path

IDS = np.arange(2 * 3 * 4, dtype="u4").reshape(2, 3, 4)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "v.h5"
    with h5py.File(file, "w") as opened:
        opened["main"] = IDS
    return str(file)


@pytest.fixture
def core() -> Core:
    return Core(Nodb("", RUNTIME()))


def test_what_is_written_is_what_is_sent(core: Core, path: str) -> None:
    query = DataQuery(path=path, depth=2, height=3, width=4, format="raw")
    written = core.write_image(query, core.find_tiles(query))
    assert bytes(written) == bytes(core.get_data(query)) == IDS.tobytes()


def test_a_subclass_writes_its_own(path: str) -> None:
    class Shouting(Core):
        def write_image(self, d_query, volume):
            return b"HERE"

    assert Shouting(Nodb("", RUNTIME())).get_data(DataQuery(path=path)) == b"HERE"


@pytest.mark.parametrize("view", ["colormap", "rgb"])
def test_views_have_colours_and_grayscale_has_the_voxels(view: str) -> None:
    words = DataQuery(path="/p").INPUT.IMAGE.VIEW
    assert Core.view_volume(words, IDS) is IDS
    words.VALUE = view
    seen = Core.view_volume(words, IDS)
    assert (seen.shape, seen.dtype) == ((2, 3, 4, 3), np.uint8)
    assert not seen[0, 0, 0].any()
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) == IDS.size


def test_the_first_tile_cannot_be_changed(core: Core, path: str) -> None:
    query = DataQuery(path=path)
    query.update_source(core.update_query(query))
    assert core.make_tile_query(query).index_zyx.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        core.make_tile_query.__defaults__[0][0] = 1


def test_the_info_of_a_precomputed_volume(core: Core, path: str) -> None:
    info = json.loads(core.get_info(InfoQuery(method="precompute_info", path=path, name="seg")))
    assert (info["type"], info["data_type"]) == ("segmentation", "uint32")
    assert info["scales"][0]["size"] == [4, 3, 2]


def test_the_metadata_of_a_token(core: Core, path: str) -> None:
    channels = [{"name": "seg", "path": path}]
    query = InfoQuery(method="project_info", dataset="d", channels=channels)
    info = json.loads(core.get_dataset(query))
    assert info["project"]["name"] == "d"
    assert info["dataset"]["imagesize"] == {"0": [4, 3, 2]}
    assert info["channels"]["seg"]["datatype"] == "uint32"
