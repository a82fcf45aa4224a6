"""Every documented name is there, is called as documented, and returns what it should."""

from __future__ import annotations

import inspect
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import bfly
from bfly import AccessLayer, CoreLayer, DatabaseLayer, ImageLayer, QueryLayer, UtilityLayer
from bfly.config.config import Config
from tests.fixtures.documented import TABLE

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [[part.strip() for part in row.split(" | ")] for row in TABLE.splitlines() if row]

VOXELS = np.arange(2 * 30 * 40, dtype="u4").reshape(2, 30, 40)


class World:
    """What uses of the names need: a volume, a core, and a query of each kind."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "v.h5")
        with h5py.File(self.path, "w") as file:
            file["main"] = VOXELS
        self.voxels = VOXELS
        self.runtime = UtilityLayer.RUNTIME()
        self.db = DatabaseLayer.Nodb("", self.runtime)
        self.db.load_all({"path": "/d", "channels": [{"name": "seg", "path": self.path}]})
        self.core = CoreLayer.Core(self.db)
        self.cache = CoreLayer.Cache(self.runtime)
        self.cache.set("key", VOXELS)
        self._ask()
        self._serve(folder)

    def _ask(self) -> None:
        make = QueryLayer.InfoQuery
        self.info = make(path=self.path, name="seg", method="channel_metadata")
        self.data = QueryLayer.DataQuery(path=self.path, y=1, height=5, width=6)
        self.keywords = self.core.update_query(self.data)
        self.info.update_source(self.keywords)
        self.data.update_source(self.keywords)
        self.tile = self.core.make_tile_query(self.data)
        self.groups = make(method="channels", list=["a", "b"])
        self.edits = make(path=self.path, method="websocket:restore")
        channels = [{"name": "seg", "path": self.path}]
        self.dataset = make(method="project_info", dataset="d", channels=channels)

    def _serve(self, folder: Path) -> None:
        dataset = {"name": "d", "path": "/d", "channels": [{"name": "seg", "path": self.path}]}
        samples = [{"name": "s", "datasets": [dataset]}]
        tree = {"experiments": [{"name": "e", "samples": samples}], "db-type": "Nodb"}
        self.config = Config.parse({"bfly": tree}, "config")
        self.config.save(str(folder / "c.yaml"))
        self.butterfly = bfly.Butterfly(str(folder / "c.yaml"))
        self.server = bfly.Webserver(self.db, {})
        names = {"experiment": "e", "sample": "s", "dataset": "d"}
        self.feature = {"feature": "is_neuron", "id": "1", **names}

    @property
    def names(self) -> dict[str, Any]:
        """All names in the uses."""
        layers = (bfly, CoreLayer, AccessLayer, QueryLayer, ImageLayer, DatabaseLayer, UtilityLayer)
        found = {name: getattr(layer, name) for layer in layers for name in layer.__all__}
        return {**found, **vars(self)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RH_CONFIG_FILENAME", str(tmp_path_factory.mktemp("none") / "none.yaml"))
        return World(tmp_path_factory.mktemp("world"))


def name_of(row: list[str]) -> str:
    return re.split(r"\(", row[0])[0]


def signature_of(thing: Any) -> str:
    """Return a signature as the page writes it: without annotations and ``self``."""
    parameters = [
        parameter.replace(
            annotation=inspect.Parameter.empty,
            default={} if isinstance(parameter.default, MappingProxyType) else parameter.default,
        )
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.name != "self"
    ]
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_documented_name(row: list[str], world: World, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(tmp_path / "none.yaml"))
    stated, use, kind = row
    path, bracket, arguments = stated.partition("(")
    if bracket:
        thing: Any = bfly
        for part in path.split("."):
            thing = getattr(thing, part)
        assert signature_of(thing) == f"({arguments}"
    result = eval(use, world.names)
    assert kind in {base.__name__ for base in result.__class__.__mro__}


def test_no_argument_is_needed_for_defaults_of_a_server(world: World) -> None:
    server = bfly.Webserver(world.db, {})
    assert (server._port, server._db, server.RUNTIME) == (2001, world.db, world.runtime)
    assert bfly.Webserver(world.db, {"port": 2017})._port == 2017
    assert bfly.Webserver(world.db, {"bfly": {"port": 2018}})._port == 2018


def test_static_methods_need_no_core() -> None:
    info = QueryLayer.InfoQuery(path="/some/where", method="channel_metadata")
    assert CoreLayer.Core.make_data_query(info).path == "/some/where"
    groups = QueryLayer.InfoQuery(method="channels", list=["a", "b"])
    assert CoreLayer.Core.get_groups(groups) == '["a", "b"]'
    groups.INPUT.INFO.FORMAT.VALUE = "yaml"
    assert CoreLayer.Core.get_groups(groups) == "- a\n- b\n"


def test_core_and_cache_attributes(world: World) -> None:
    assert world.core._db is world.db
    assert world.core._cache._max_memory == world.runtime.CACHE.MAX.VALUE == 1 << 30
    assert world.cache._cach_meta == world.cache._cache_meta == "meta-size"
    assert world.cache._cache["key"] is VOXELS


def test_a_database_maps_channels_to_datasets() -> None:
    database = DatabaseLayer.Nodb("", UtilityLayer.RUNTIME())
    channels = [{"name": "em", "path": "/d/em"}, {"name": "seg", "path": "/d/seg", "dpath": "/m"}]
    dataset = {"name": "d", "path": "/d", "channels": channels}
    config = {"experiments": [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]}
    assert database.load_config({"bfly": config}) is database
    assert database.get_path("/d/em") == "/d"
    assert database.get_path("/d/seg") == "/m"
    assert database.get_path("/other") == "/other"
