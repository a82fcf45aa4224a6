"""Sources of the documented pair: the suite of all sources, and what the pair may not give."""

from __future__ import annotations

import numpy as np
import pytest

from bfly import registry
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.errors import SourceError
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.sources.npy import Npy
from bfly.sources.source import Datasource
from bfly.sources.tile_source import TileSource, formats
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


class Pair:
    """``.npy`` files by the documented pair alone."""

    @staticmethod
    def preload_source(t_query):
        path = t_query.OUTPUT.INFO.PATH.VALUE
        if not path.endswith(".npy"):
            return {}
        volume = np.load(path)
        image, info = t_query.RUNTIME.IMAGE, t_query.OUTPUT.INFO
        return {
            image.SOURCE.NAME: "pair",
            image.BLOCK.NAME: np.uint32([2, 16, 16]),
            info.TYPE.NAME: str(volume.dtype),
            info.SIZE.NAME: np.uint32(volume.shape),
        }

    @staticmethod
    def load_tile(t_query):
        (z0, y0, x0), (z1, y1, x1) = t_query.source_tile_bounds
        z, y, x = t_query.all_scales
        return np.load(t_query.path)[z0:z1:z, y0:y1:y, x0:x1:x]


class Derived(Datasource):
    """The same, below the documented base, which it calls first."""

    @staticmethod
    def preload_source(t_query):
        assert Datasource.preload_source(t_query) == {}
        return Pair.preload_source(t_query)

    @staticmethod
    def load_tile(t_query):
        assert Datasource.load_tile(t_query) is None
        return Pair.load_tile(t_query)


class Adapted(TileSource):
    name, pair = "pair", Pair


class TestTileSource(SourceSuite):
    source = Adapted
    dtypes = ("uint8", "uint64", "int16", "float16", "float32", "float64")

    def write(self, folder, volume):
        path = folder / "volume.npy"
        np.save(path, volume)
        return path


@pytest.fixture
def registered(monkeypatch):
    """Yield a function that registers a pair, before the source of ``.npy``."""
    found = registry.find("sources")

    def register(pair):
        monkeypatch.setattr(registry, "find", lambda _kind: {"a pair": pair, **found})

    return register


@pytest.fixture
def core():
    return Core(Nodb("", RUNTIME()))


@pytest.mark.parametrize("pair", [Pair, Derived])
def test_a_registered_pair_serves(pair, registered, core, tmp_path):
    registered(pair)
    volume = random_volume((5, 40, 33), "uint16")
    np.save(tmp_path / "v.npy", volume)
    query = DataQuery(path=f"{tmp_path}/v.npy", z=1, y=3, x=2, depth=4, height=30, width=31)
    assert np.array_equal(core.find_tiles(query), volume[1:5, 3:33, 2:33])
    assert query.source_type == "a pair"
    assert query.dimensions == {"x": 33, "y": 40, "z": 5}


def test_mips_of_a_pair_are_loaded(registered, core, tmp_path):
    class Pyramid(Pair):
        @staticmethod
        def preload_source(t_query):
            words = Pair.preload_source(t_query)
            return words and {**words, "block-size": [[2, 16, 16], [2, 8, 8]]}

    registered(Pyramid)
    volume = random_volume((3, 41, 33), "uint8")
    np.save(tmp_path / "v.npy", volume)
    query = DataQuery(path=f"{tmp_path}/v.npy", depth=3, height=21, width=17, resolution=1)
    assert np.array_equal(core.find_tiles(query), volume[:, ::2, ::2])


def test_signed_voxels_stay_signed(tmp_path):
    volume = np.array([[[-1, 2]]], ">i2")
    np.save(tmp_path / "v.npy", volume)
    source = Adapted.open(str(tmp_path / "v.npy"))
    assert source.dtype == np.dtype("<i2")
    assert source.read(0, source.scales[0].box).tolist() == [[[-1, 2]]]
    assert source.keywords["data-type"] == "uint16"  # as documented


@pytest.mark.parametrize(
    "tile", [None, [], np.zeros((1, 2, 3), "u1"), np.zeros((2, 16, 16), "i8"), "text"]
)
def test_what_is_not_the_tile_is_an_error(tile, tmp_path):
    class Wrong(Pair):
        @staticmethod
        def load_tile(t_query):
            return tile

    path = tmp_path / "v.npy"
    np.save(path, random_volume((2, 16, 16), "uint8"))
    source = type("Wrong", (TileSource,), {"name": "w", "pair": Wrong}).open(str(path))
    with pytest.raises(SourceError, match=r"v\.npy: Wrong loads .* tile \(0, 0, 0\) of mip 0"):
        source.read(0, source.scales[0].box)


def test_missing_keywords_are_named(tmp_path):
    class Few:
        @staticmethod
        def preload_source(t_query):
            return {"data-type": "uint8"}

    kind = type("Few", (TileSource,), {"name": "few", "pair": Few})
    with pytest.raises(SourceError, match=r"\['block-size', 'dimensions'\] is not in"):
        kind.open(str(tmp_path))


def test_every_source_has_the_documented_pair(core, tmp_path):
    volume = random_volume((3, 20, 10), "uint8")
    np.save(tmp_path / "v.npy", volume)
    query = DataQuery(path=f"{tmp_path}/v.npy")
    query.update_source(core.update_query(query))
    tile = core.make_tile_query(query)
    assert np.array_equal(Npy.load_tile(tile), volume)
    words = Npy.preload_source(tile)
    assert words["source-type"] == "npy"
    assert words["data-type"] == "uint8"
    assert words["dimensions"] == {"x": 10, "y": 20, "z": 3}
    assert [len(block) for block in words["block-size"]] == [3]
    assert all(
        source.preload_source(tile) == {} for name, source in formats().items() if name != "npy"
    )
