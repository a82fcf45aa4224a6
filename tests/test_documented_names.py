"""The documented names: modules, signatures and types."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import bfly
from bfly import CoreLayer, DatabaseLayer, ImageLayer, QueryLayer, UtilityLayer
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.keywords import INPUT, OUTPUT, RUNTIME

LAYERS = ["AccessLayer", "DatabaseLayer", "ImageLayer", "QueryLayer", "UtilityLayer"]

CLASSES = {
    "CoreLayer": ["Core", "Cache"],
    "AccessLayer": ["API"],
    "DatabaseLayer": ["Database", "Nodb"],
    "ImageLayer": ["Datasource", "HDF5", "ImageStack", "Mojo", "BossGrid"],
    "QueryLayer": ["Query", "InfoQuery", "DataQuery", "TileQuery"],
    "UtilityLayer": ["RUNTIME", "INPUT", "OUTPUT", "rh_config"],
}


def run(code: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_are_nested_and_the_same_objects(layer: str) -> None:
    nested = getattr(CoreLayer, layer)
    assert nested is getattr(__import__(f"bfly.{layer}"), layer)
    for name in CLASSES[layer]:
        assert hasattr(nested, name)


def test_layers_import_from_the_package_folder() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(bfly.__file__).parent)!r})
import CoreLayer
from CoreLayer import DatabaseLayer, AccessLayer
from CoreLayer import QueryLayer, ImageLayer, UtilityLayer
import DatabaseLayer as alone
import bfly, bfly.CoreLayer
assert CoreLayer.Core is bfly.CoreLayer.Core
assert CoreLayer.Cache is bfly.CoreLayer.Cache
assert alone.Database is DatabaseLayer.Database is bfly.CoreLayer.DatabaseLayer.Database
assert QueryLayer.DataQuery is bfly.CoreLayer.QueryLayer.DataQuery
assert UtilityLayer.RUNTIME is bfly.CoreLayer.UtilityLayer.RUNTIME
print("same")
"""
    assert run(code) == "same\n"


def test_importing_bfly_is_light() -> None:
    code = """
import sys, bfly
heavy = {"numpy", "h5py", "tensorstore", "imagecodecs", "starlette", "uvicorn", "pydantic", "yaml"}
print(sorted(heavy & set(sys.modules)), [m for m in sys.modules if m.startswith("bfly.")])
"""
    assert run(code) == "[] []\n"


def test_the_lazy_names_of_bfly() -> None:
    assert bfly.Butterfly.__name__ == "Butterfly"
    assert bfly.Webserver.__name__ == "Webserver"
    with pytest.raises(AttributeError, match="nothing"):
        _ = bfly.nothing


SIGNATURES = {
    (CoreLayer.Core, "__init__"): ["self", "db"],
    (CoreLayer.Core, "find_tiles"): ["self", "d_query"],
    (CoreLayer.Core, "find_unique"): ["self", "d_query"],
    (CoreLayer.Core, "get_data"): ["self", "d_query"],
    (CoreLayer.Core, "get_dataset"): ["self", "i_query"],
    (CoreLayer.Core, "get_groups"): ["i_query"],
    (CoreLayer.Core, "get_info"): ["self", "i_query"],
    (CoreLayer.Core, "load_tile"): ["self", "t_query"],
    (CoreLayer.Core, "make_data_query"): ["i_query"],
    (CoreLayer.Core, "make_tile_query"): ["d_query", "t_index"],
    (CoreLayer.Core, "update_query"): ["self", "query"],
    (CoreLayer.Cache, "__init__"): ["self", "_runtime"],
    (CoreLayer.Cache, "get"): ["self", "key"],
    (CoreLayer.Cache, "set"): ["self", "key", "value"],
    (QueryLayer.Query, "update_source"): ["self", "keywords"],
    (QueryLayer.DataQuery, "some_in_all"): ["self", "t_origin", "t_shape"],
    (QueryLayer.DataQuery, "all_in_some"): ["self", "t_index"],
    (QueryLayer.InfoQuery, "set_channel"): ["self", "channel"],
    (QueryLayer.InfoQuery, "dump_dataset"): ["self", "all_channels"],
    (QueryLayer.TileQuery, "__init__"): ["self", "d_query", "t_index", "crop"],
    (DatabaseLayer.Database, "__init__"): ["self", "path", "_runtime"],
    (DatabaseLayer.Database, "add_path"): ["self", "c_path", "d_path"],
    (DatabaseLayer.Database, "get_path"): ["self", "path"],
    (DatabaseLayer.Database, "load_config"): ["self", "config"],
    (DatabaseLayer.Database, "load_all"): ["self", "source"],
    (DatabaseLayer.Database, "commit"): ["self"],
    (bfly.Webserver, "__init__"): ["self", "db", "config"],
    (bfly.Webserver, "start"): ["self", "port"],
    (bfly.Webserver, "stop"): ["self"],
}


def name_of(part: type | str) -> str:
    return part if isinstance(part, str) else part.__name__


@pytest.mark.parametrize(("owner", "name"), SIGNATURES, ids=name_of)
def test_signatures(owner: type, name: str) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == SIGNATURES[owner, name]


def test_static_methods_need_no_core() -> None:
    info = QueryLayer.InfoQuery(path="/some/where", method="channel_metadata")
    assert Core.make_data_query(info).path == "/some/where"
    groups = QueryLayer.InfoQuery(method="channels", list=["a", "b"])
    assert Core.get_groups(groups) == '["a", "b"]'
    groups.INPUT.INFO.FORMAT.VALUE = "yaml"
    assert Core.get_groups(groups) == "- a\n- b\n"


def test_core_and_cache_attributes() -> None:
    runtime = RUNTIME()
    database = Nodb("", runtime)
    core = Core(database)
    assert core._db is database
    assert isinstance(core._cache, CoreLayer.Cache)
    assert core._cache._max_memory == runtime.CACHE.MAX.VALUE == 1 << 30
    assert core._cache._cache_meta == "meta-size"
    assert isinstance(core._cache._cache, OrderedDict)
    assert core._cache._now_memory == 0


def test_words_have_their_documented_names_and_values() -> None:
    table, file = RUNTIME.DB.TABLE, RUNTIME.DB.FILE
    assert table.LIST == ["neuron", "synapse"]
    assert (table.NEURON.NAME, table.NEURON.KEY.NAME) == ("neuron", "neuron")
    assert table.NEURON.FULL_LIST == ["neuron", "z", "y", "x"]
    assert (table.SYNAPSE.NAME, table.SYNAPSE.KEY.NAME) == ("synapse", "__id")
    assert table.SYNAPSE.NEURON_LIST == ["n1", "n2"]
    assert table.SYNAPSE.FULL_LIST == ["__id", "n1", "n2", "z", "y", "x"]
    assert table.ALL.POINT_LIST == ["z", "y", "x"]
    assert file.SYNAPSE.DEFAULT == "synapse-connections.json"
    assert file.SYNAPSE.NEURON_LIST == ["neuron_1", "neuron_2"]
    assert (file.SYNAPSE.POINT.NAME, file.SYNAPSE.POINT.LIST) == ("synapse_center", ["z", "y", "x"])
    assert file.SOMA.DEFAULT == "neuron-soma.json"
    assert file.CONFIG.GROUP_LIST == ["experiments", "samples", "datasets", "channels"]
    assert (file.CONFIG.PATH.NAME, file.CONFIG.DPATH.NAME) == ("path", "dpath")
    assert RUNTIME.DB.JOIN.NAME.format("synapse", "/a") == "synapse:///a"
    assert RUNTIME.DB.UPDATE.NAME == "update"
    assert RUNTIME.DB.PORT.NAME == "port"
    cache = RUNTIME.CACHE
    names = [cache.META.NAME, cache.MAX.NAME, cache.MAX_BLOCK.NAME]
    assert names == ["meta-size", "max-cache-size", "max-block-size"]
    assert (cache.MAX.VALUE, cache.MAX_BLOCK.VALUE) == (1 << 30, 1 << 20)
    links = RUNTIME.FEATURES.LINKS
    assert [links.ID.NAME, links.PRE.NAME, links.POST.NAME] == [
        "synapse_id",
        "synapse_parent_pre",
        "synapse_parent_post",
    ]
    for name in ("ZYX", "KJI", "SCALES"):
        assert hasattr(RUNTIME.TILE, name)
    for name in ("SOURCE", "BLOCK", "MERGE", "SPLIT", "ERROR"):
        assert hasattr(RUNTIME.IMAGE, name)
    for name in ("CHANNELS", "DATASET", "CHANNEL", "QUERY", "NAMES", "PATH", "TYPE", "SIZE"):
        assert hasattr(OUTPUT.INFO, name)
    assert "entity_feature" in INPUT.METHODS.LIST
    assert INPUT.GROUP.LIST == ["experiment", "sample", "dataset", "channel"]
    assert set(INPUT.FEATURES.LIST) == {
        "is_neuron",
        "is_synapse",
        "neuron_keypoint",
        "synapse_keypoint",
        "synapse_parent",
        "synapse_ids",
        "neuron_children",
        "all_neurons",
    }
    assert [INPUT.POSITION.X.NAME, INPUT.POSITION.DEPTH.NAME] == ["x", "depth"]
    assert INPUT.RESOLUTION.XY.NAME == "resolution"
    assert (INPUT.INFO.FORMAT.NAME, INPUT.INFO.ID.NAME) == ("format", "id")
    assert INPUT.IMAGE.VIEW.LIST == ["grayscale", "colormap", "rgb"]
    assert INPUT.IMAGE.OFFSET.VALUE == [0, 0, 0]


def test_instances_of_the_words_are_apart() -> None:
    one, other = RUNTIME(), RUNTIME()
    one.CACHE.MAX.VALUE = 5
    assert (one.CACHE["max-cache-size"].VALUE, other.CACHE.MAX.VALUE) == (5, 1 << 30)
    assert "max-cache-size" in one.CACHE
    assert list(one.CACHE) == ["meta-size", "max-cache-size", "max-block-size"]


def test_a_query_keeps_the_words_as_named_fields() -> None:
    query = QueryLayer.DataQuery(
        **{
            "method": "data",
            "path": "/p",
            "z": 1,
            "y": 2,
            "x": 3,
            "depth": 4,
            "height": 5,
            "width": 6,
            "resolution": 1,
            "format": "tif",
            "view": "rgb",
            "offset": [0, 4, 6],
        }
    )
    assert query.INPUT.POSITION.X.VALUE == 3
    assert query.INPUT.POSITION["height"].VALUE == 5
    assert query.INPUT.RESOLUTION.XY.VALUE == 1
    assert query.INPUT.IMAGE.FORMAT.VALUE == "tif"
    assert query.OUTPUT.INFO.PATH.VALUE == query.path == "/p"
    query.OUTPUT.INFO.PATH.VALUE = "/q"
    assert query.path == "/q"
    assert np.array_equal(query.scales, [1, 2, 2])
    assert np.array_equal(query.target_bounds, [[1, 2, 3], [5, 7, 9]])
    assert np.array_equal(query.source_origin, [1, 4, 6])
    assert np.array_equal(query.source_shape, [4, 10, 12])
    assert np.array_equal(query.source_off, [0, 4, 6])
    assert np.array_equal(query.target_off, [0, 2, 3])
    assert query.is_data
    assert query.mime_type == "image/tiff"


def test_rh_config_is_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rh.yaml"
    path.write_text("bfly:\n  port: 2017\n")
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(path))
    assert UtilityLayer.rh_config.config == {"bfly": {"port": 2017}}


def test_a_database_maps_channels_to_datasets() -> None:
    database = Nodb("", RUNTIME())
    channels = [{"name": "em", "path": "/d/em"}, {"name": "seg", "path": "/d/seg", "dpath": "/m"}]
    dataset = {"name": "d", "path": "/d", "channels": channels}
    config = {"experiments": [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]}
    assert database.load_config({"bfly": config}) is database
    assert database.get_path("/d/em") == "/d"
    assert database.get_path("/d/seg") == "/m"
    assert database.get_path("/other") == ""
    assert issubclass(ImageLayer.HDF5, ImageLayer.Datasource)
