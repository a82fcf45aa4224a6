"""Prefetch: the tiles that follow the requests of a viewer, and when it pauses."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.cutouts.prefetch import Prefetcher
from bfly.cutouts.tile_loader import TileLoader
from bfly.errors import SourceError
from bfly.geometry import BoundingBox, indexes
from bfly.queries.data import DataQuery
from bfly.sources.hdf5.dataset import Hdf5Dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

TILE = 64


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    path: Path = tmp_path_factory.mktemp("ahead") / "v.h5"
    voxels = np.random.default_rng(0).integers(0, 256, (256, 256, 256), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(TILE,) * 3, compression="gzip")
    return str(path)


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    return make_core(cache=64 << 20)


def section(path: str, z: int, y: int = 0, x: int = 0, side: int = 128, **words: int) -> DataQuery:
    return DataQuery(path=path, z=z, y=y, x=x, height=side, width=side, **words)


def look(core: Core, *queries: DataQuery) -> None:
    for query in queries:
        core.find_tiles(query)
        core.prefetcher.note(query.region)
    core.prefetcher.go_on()
    if core.prefetcher.job:
        core.prefetcher.job.result(30)


def cached(core: Core, path: str) -> set[tuple[int, ...]]:
    volume = core.update_query(section(path, 0))["volume"]
    names = {volume.tile_key(0, index): index for index in indexes(volume.level(0).tiles)}
    return {names[key] for key in core._cache._cache if key in names}


def layer(z: int, y: range, x: range) -> set[tuple[int, ...]]:
    return {(z, j, i) for j in y for i in x}


def test_who_scrolls_finds_the_next_chunks(core: Core, path: str) -> None:
    look(core, section(path, 10), section(path, 11))
    assert cached(core, path) == layer(0, range(2), range(2)) | layer(1, range(2), range(2))


def test_who_scrolls_back_finds_those_before(core: Core, path: str) -> None:
    look(core, section(path, 131), section(path, 130))
    assert cached(core, path) == layer(2, range(2), range(2)) | layer(1, range(2), range(2))


def test_who_pans_finds_the_neighbours(core: Core, path: str) -> None:
    look(core, section(path, 0, x=0, side=64), section(path, 0, x=64, side=64))
    assert cached(core, path) == layer(0, range(1), range(3))


@pytest.mark.parametrize(
    "queries",
    [
        pytest.param([(10,)], id="one look"),
        pytest.param([(10,), (50,)], id="a jump"),
        pytest.param([(10,), (11, 1, 1)], id="another way"),
    ],
)
def test_nothing_is_guessed_from(core: Core, path: str, queries: list[tuple[int, ...]]) -> None:
    look(core, *(section(path, *place) for place in queries))
    assert core.prefetcher.job is None


def test_nothing_is_guessed_beyond_the_volume(core: Core, path: str) -> None:
    look(core, section(path, 200), section(path, 201))
    assert core.prefetcher.job is None


def test_a_guess_takes_no_more_than_its_part_of_the_cache(make_core, path: str) -> None:
    core = make_core(cache=6 << 20)
    look(core, section(path, 10, side=256), section(path, 11, side=256))
    assert core.prefetcher.job is None


def test_large_requests_and_computed_mips_are_not_followed(core: Core, path: str) -> None:
    deep = [DataQuery(path=path, x=x, depth=256, height=256, width=128) for x in (0, 128)]
    coarse = [section(path, z, resolution=1) for z in (10, 11)]
    look(core, *deep, *coarse)
    assert core.prefetcher.job is None


def test_it_stops_when_somebody_waits_and_goes_on_later(core: Core, path: str, monkeypatch) -> None:
    read, starts = Hdf5Dataset.read, []

    def interrupted(self, box):
        starts.append(box.start)
        core.prefetcher.hold()
        return read(self, box)

    for query in (section(path, 10), section(path, 11)):
        core.find_tiles(query)
        core.prefetcher.note(query.region)
    monkeypatch.setattr(Hdf5Dataset, "read", interrupted)
    core.prefetcher.go_on()
    core.prefetcher.job.result(30)
    assert starts == [(TILE, 0, 0)]
    monkeypatch.undo()
    core.prefetcher.go_on()
    core.prefetcher.job.result(30)
    assert layer(1, range(2), range(2)) <= cached(core, path)


def test_a_damaged_chunk_disturbs_nobody(core: Core, path: str, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise SourceError("It is damaged.")

    for query in (section(path, 10), section(path, 11)):
        core.find_tiles(query)
        core.prefetcher.note(query.region)
    monkeypatch.setattr(Hdf5Dataset, "read", fail)
    core.prefetcher.go_on()
    assert core.prefetcher.job.result(30) is None


def test_a_server_reads_ahead(serve, make_tree, path: str, monkeypatch) -> None:
    done, load_all = threading.Event(), TileLoader.load_all
    boxes: list[BoundingBox] = []

    def watched(self, region, may_go_on) -> bool:
        whole = load_all(self, region, may_go_on)
        if whole:
            boxes.append(region.box)
            done.set()
        return whole

    monkeypatch.setattr(TileLoader, "load_all", watched)
    address = "/api/data?experiment=exp&sample=sam&dataset=dat&channel=v&x=0&y=0&width=64&height=64"
    with serve(make_tree({"name": "v", "path": path})) as client:
        for z in (10, 11):
            assert client.get(f"{address}&z={z}").status_code == 200
        assert done.wait(30)
    assert boxes == [BoundingBox((75, 0, 0), (76, 64, 64))]


def test_chunks_that_are_sent_as_stored_are_not_followed(
    serve, make_tree, path: str, monkeypatch
) -> None:
    noted: list[BoundingBox] = []
    monkeypatch.setattr(Prefetcher, "note", lambda _self, d_query: noted.append(d_query.box))
    chunk = "/pre/exp::sam::dat/v/0/0-64_0-64_{}-{}"
    with serve(make_tree({"name": "v", "path": path})) as client:
        for coding, z in (("deflate", 0), ("identity", TILE)):
            headers = {"accept-encoding": coding}
            assert client.get(chunk.format(z, z + TILE), headers=headers).status_code == 200
    assert noted == [BoundingBox.of_shape((TILE,) * 3, (TILE, 0, 0))]
