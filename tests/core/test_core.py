"""Core: a cutout equals the numpy slice, for any source, box and mip."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.core.channels import OpenChannel
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.downsample import downsample
from bfly.errors import NotAllowed, SourceError, TooLarge
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.queries.tile import TileQuery
from bfly.registry import ENCODERS
from bfly.sources.hdf5.source import HDF5
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Core]


def write(path: Path, volume: np.ndarray, **options: Any) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=volume, **options)
    return str(path)


def padded(volume: np.ndarray, box: BoundingBox) -> np.ndarray:
    """Return a box of an array, zeros where it leaves it: the plain way."""
    result = np.zeros(box.shape, volume.dtype)
    for place in np.ndindex(box.shape[:1]):
        z = box.start[0] + place[0]
        if 0 <= z < volume.shape[0]:
            for y in range(max(0, box.start[1]), min(box.stop[1], volume.shape[1])):
                low, high = max(0, box.start[2]), min(box.stop[2], volume.shape[2])
                if low < high:
                    target = slice(low - box.start[2], high - box.start[2])
                    result[place[0], y - box.start[1], target] = volume[z, y, low:high]
    return result


def ask(path: str, box: BoundingBox, mip: int = 0, **words: Any) -> DataQuery:
    (z, y, x), (depth, height, width) = box.start, box.shape
    return DataQuery(
        path=path, z=z, y=y, x=x, depth=depth, height=height, width=width, resolution=mip, **words
    )


shapes = st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
offsets = st.tuples(st.integers(-5, 5), st.integers(-30, 30), st.integers(-30, 30))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=shapes,
    chunk=st.none() | st.tuples(*[st.integers(1, 16)] * 3),
    start=st.tuples(*[st.integers(-20, 40)] * 3),
    extent=shapes,
    offset=offsets,
    mip=st.integers(0, 4),
    dtype=st.sampled_from(["u1", "i1", "i2", "<u4", "i4", ">u8", "i8", "f4"]),
    block=st.sampled_from([64, 4096, 1 << 20]),
    kind=st.sampled_from(["image", "segmentation"]),
    cache=st.sampled_from([64 << 10, 64 << 20]),
)
def test_a_cutout_equals_the_padded_slice(
    tmp_path: Path,
    make_core: Make,
    shape,
    chunk,
    start,
    extent,
    offset,
    mip,
    dtype,
    block,
    kind,
    cache,
) -> None:
    kind = "image" if dtype == "f4" else kind
    low = -2 if dtype[0] == "i" else 0
    volume = np.random.default_rng(sum(shape)).integers(low, 5, shape).astype(dtype)
    chunk = chunk and tuple(map(min, chunk, shape))
    options = {"chunks": chunk, "compression": "gzip"} if chunk else {}
    path = write(tmp_path / "volume.h5", volume, **options)
    served = volume.astype(dtype.replace(">", "<"))
    if mip:
        served = downsample(served, offset, (1, 1 << mip, 1 << mip), kind)
    box = BoundingBox.of_shape(extent, start)
    query = ask(path, box, mip, voxel_offset=offset, kind=kind)
    place = (offset[0], offset[1] >> mip, offset[2] >> mip)
    expected = padded(served, box.relative_to(place))
    # A small cache is read past.
    found = make_core(block=block, cache=cache).find_tiles(query)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert make_core(block=block).find_unique(query) == set(np.unique(expected).tolist())


def test_find_unique_is_exact_for_64_bits(tmp_path: Path, make_core: Make) -> None:
    ids = np.array([0, 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1], np.uint64)
    volume = np.random.default_rng(0).choice(ids, (20, 70, 70))
    path = write(tmp_path / "ids.h5", volume, chunks=(8, 8, 8))
    query = ask(path, BoundingBox.of_shape(volume.shape))
    assert make_core(limit=100).find_unique(query) == set(ids.tolist())


def test_many_at_once_read_a_tile_once(
    tmp_path: Path, make_core: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "v.h5", np.arange(64**3, dtype="u4").reshape(64, 64, 64))
    reads: list[BoundingBox] = []
    original = HDF5.read

    def counted(self: HDF5, mip: int, box: BoundingBox) -> np.ndarray:
        reads.append(box)
        time.sleep(0.05)
        return original(self, mip, box)

    monkeypatch.setattr(HDF5, "read", counted)
    core = make_core()
    box = BoundingBox.of_shape((3, 5, 7))
    start = threading.Barrier(64)
    results: list[np.ndarray] = []

    def client() -> None:
        start.wait()
        results.append(core.find_tiles(ask(path, box)))

    threads = [threading.Thread(target=client) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len(results) == 64
    assert all(np.array_equal(r, results[0]) for r in results)


def test_a_divided_chunk_is_read_once_for_all_its_tiles(
    tmp_path: Path, make_core: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (2, 256, 512), np.uint8)
    path = write(tmp_path / "v.h5", volume, chunks=(1, 256, 512))
    reads: list[BoundingBox] = []
    original = HDF5.read

    def counted(self: HDF5, mip: int, box: BoundingBox) -> np.ndarray:
        reads.append(box)
        return original(self, mip, box)

    monkeypatch.setattr(HDF5, "read", counted)
    core = make_core(block=4096)
    threads = [
        threading.Thread(
            target=core.find_tiles,
            args=(ask(path, BoundingBox((z, y, x), (z + 1, y + 30, x + 30))),),
        )
        for z in range(2)
        for y in range(0, 256, 50)
        for x in range(0, 512, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 2
    assert np.array_equal(core.find_tiles(ask(path, BoundingBox.of_shape(volume.shape))), volume)
    assert len(reads) == 2


def test_a_thousand_requests_from_32_threads_stay_within_bounds(
    tmp_path: Path, make_core: Make
) -> None:
    bound = 64 << 20
    whole = BoundingBox.of_shape((160, 1600, 1600))  # six times the cache
    with h5py.File(tmp_path / "big.h5", "w") as file:
        main = file.create_dataset(
            "main", whole.shape, "u1", chunks=(32, 64, 64), compression="lzf"
        )
        for z in range(0, 160, 32):
            main[z : z + 32] = pattern(BoundingBox((z, 0, 0), (z + 32, 1600, 1600)))
    core = make_core(cache=bound)
    over: list[int] = []
    wrong: list[BoundingBox] = []

    def client(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(32):
            start = random.integers(-10, [150, 1590, 1590])
            stop = start + random.integers(1, [40, 200, 200])
            box = BoundingBox(tuple(start.tolist()), tuple(stop.tolist()))
            expected, inside = np.zeros(box.shape, "u1"), box & whole
            expected[inside.relative_to(box.start).slices] = pattern(inside)
            if not np.array_equal(core.find_tiles(ask(str(tmp_path / "big.h5"), box)), expected):
                wrong.append(box)
            if core._cache._now_memory > bound:
                over.append(core._cache._now_memory)

    before = resident()
    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not over
    assert sum(core._cache._sizes.values()) == core._cache._now_memory
    # The cache, plus what 32 cutouts of at most 1.6 MB and their tiles take at once.
    assert resident() - before < bound + (128 << 20)


def pattern(box: BoundingBox) -> np.ndarray:
    """Return voxels that tell where they are."""
    z, y, x = (axis.astype("u1") for axis in np.ogrid[box.slices])
    return z * 89 + y * 37 + x


def resident() -> int:
    """Return the memory of this process that is in RAM, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_too_large_a_cutout_is_refused_before_anything_is_allocated(
    tmp_path: Path, make_core: Make
) -> None:
    path = write(tmp_path / "v.h5", np.zeros((4, 4, 4), "u8"))
    core = make_core(limit=4 * 4 * 4 * 8)
    assert core.find_tiles(ask(path, BoundingBox.of_shape((4, 4, 4)))).shape == (4, 4, 4)
    with pytest.raises(TooLarge, match="520 bytes; max-cutout-size is 512"):
        core.find_tiles(ask(path, BoundingBox.of_shape((5, 13, 1))))
    with pytest.raises(TooLarge):
        core.find_tiles(ask(path, BoundingBox.of_shape((2**40, 2**40, 2**40))))


def test_a_mip_that_needs_too_much_at_once_is_refused(tmp_path: Path, make_core: Make) -> None:
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file.create_dataset("main", (1, 9000, 9000), "u1", chunks=(1, 512, 512), fillvalue=3)
    core = make_core(limit=1 << 20)
    box = BoundingBox.of_shape((1, 1, 1))
    assert core.find_tiles(ask(str(tmp_path / "wide.h5"), box, 9, kind="image")).item() == 3
    with pytest.raises(TooLarge, match=r"at resolution 0 takes \d+ bytes; max-cutout-size"):
        core.find_tiles(ask(str(tmp_path / "wide.h5"), box, 13, kind="image"))


def test_a_large_cutout_leaves_the_cache_to_others(tmp_path: Path, make_core: Make) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (64, 256, 256), np.uint8)
    path = write(tmp_path / "v.h5", volume, chunks=(64, 64, 64))
    core = make_core(cache=32 << 20)
    core.find_tiles(ask(path, BoundingBox((0, 0, 0), (1, 1, 1))))
    kept = set(core._cache._cache)
    box = BoundingBox((0, 0, 0), (64, 200, 256))
    assert np.array_equal(core.find_tiles(ask(path, box)), volume[box.slices])
    tiles = {key.rpartition("/")[2] for key in set(core._cache._cache) - kept}
    assert tiles == {f"0.3.{x}" for x in range(4)}


def test_what_an_earlier_cutout_held_does_not_show_where_there_is_nothing(
    tmp_path: Path, make_core: Make
) -> None:
    path = write(tmp_path / "v.h5", np.full((64, 256, 512), 9, "u1"), chunks=(64, 64, 64))
    core = make_core()
    assert core.find_tiles(ask(path, BoundingBox.of_shape((64, 256, 512)))).all()
    beside = core.find_tiles(ask(path, BoundingBox.of_shape((64, 256, 512), (32, 128, 256))))
    assert (beside[:32, :128, :256] == 9).all()
    assert beside.sum(dtype=int) == 9 * 32 * 128 * 256


def test_a_changed_file_is_noticed(tmp_path: Path, make_core: Make) -> None:
    core, box = make_core(), BoundingBox.of_shape((4, 4, 4))
    path = write(tmp_path / "v.h5", np.full((4, 4, 4), 1, "u1"))
    assert core.find_tiles(ask(path, box)).max() == 1
    write(tmp_path / "v.h5", np.full((4, 4, 4), 2, "u1"))
    core.update_query(ask(path, box))["volume"]._due = 0
    assert core.find_tiles(ask(path, box)).min() == 2


def test_a_file_that_changes_between_two_tiles_is_read_anew(
    tmp_path: Path, make_core: Make
) -> None:
    core = make_core()
    path = write(tmp_path / "v.h5", np.full((4, 4, 64), 1, "u1"), chunks=(4, 4, 4))
    core.find_tiles(ask(path, BoundingBox.of_shape((1, 1, 1))))
    write(tmp_path / "v.h5", np.full((8, 4, 64), 2, "u1"), chunks=(8, 4, 4), compression="gzip")
    core._cache._cache = type(core._cache._cache)(
        (key, entry) for key, entry in core._cache._cache.items() if isinstance(entry, OpenChannel)
    )
    assert core.find_tiles(ask(path, BoundingBox.of_shape((8, 1, 64)))).min() == 2


def test_a_file_that_goes_away_is_an_error_and_comes_back(tmp_path: Path, make_core: Make) -> None:
    core, box = make_core(), BoundingBox.of_shape((4, 4, 4))
    path = write(tmp_path / "v.h5", np.full((4, 4, 4), 1, "u1"))
    core.find_tiles(ask(path, box))
    os.rename(path, tmp_path / "away.h5")
    core.update_query(ask(path, box))["volume"]._due = 0
    with pytest.raises(SourceError, match=r"v\.h5"):
        core.find_tiles(ask(path, box))
    os.rename(tmp_path / "away.h5", path)
    assert core.find_tiles(ask(path, box)).max() == 1


def test_paths_outside_the_allowed_are_refused(tmp_path: Path, make_core: Make) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    path = write(outside / "v.h5", np.zeros((2, 2, 2), "u1"))
    os.symlink(path, inside / "link.h5")
    os.symlink(outside, inside / "folder")
    core = make_core(allowed=(str(inside),))
    paths = (path, str(inside / "link.h5"), str(inside / "folder" / "v.h5"))
    for bad in (*paths, f"{inside}/../out/v.h5"):
        with pytest.raises(NotAllowed, match="allowed-paths"):
            core.find_tiles(DataQuery(path=bad))


def test_info_and_dataset(tmp_path: Path, make_core: Make) -> None:
    path = write(tmp_path / "v.h5", np.zeros((2, 3, 4), "i4"))
    core = make_core()
    info = core.get_info(InfoQuery(path=path, name="seg"))
    assert info == (
        f'{{"name": "seg", "path": "{path}", "source-type": "hdf5", "data-type": "uint32", '
        '"dimensions": {"x": 4, "y": 3, "z": 2}, '
        '"voxel-size": {"z": 1.0, "y": 1.0, "x": 1.0}, "voxel-size-source": "assumed"}'
    )
    channels = [{"name": "a", "path": path}, {"name": "b", "path": path}]
    query = InfoQuery(method="project_info", dataset="d", channels=channels, format="yaml")
    text = core.get_dataset(query)
    assert "name: d" in text
    assert text.count("datatype: uint32") == 2


def test_the_documented_order_of_calls(tmp_path: Path, make_core: Make) -> None:
    volume = np.random.default_rng(1).integers(0, 255, (8, 16, 16), np.uint8)
    path = write(tmp_path / "v.h5", volume, chunks=(4, 8, 8))
    core = make_core(block=256)
    query = core.make_data_query(InfoQuery(path=path, offset=[1, 0, 2]))
    keywords = core.update_query(query)
    assert keywords["dimensions"] == {"x": 16, "y": 16, "z": 8}
    assert keywords["source-type"] == "hdf5"
    query = DataQuery(path=path, z=1, y=2, x=3, depth=5, height=12, width=9, offset=[1, 0, 2])
    query.update_source(keywords)
    assert np.array_equal(core.find_tiles(query), volume[2:7, 2:14, 5:14])
    result = np.zeros(query.target_shape, query.dtype)
    for index in np.ndindex(*np.ptp(query.tile_bounds, axis=0)):
        tile = core.make_tile_query(query, query.tile_bounds[0] + index)
        part = core.load_tile(tile)
        (z, y, x), (k, j, i) = query.some_in_all(tile.target_origin, part.shape)
        result[z:k, y:j, x:i] = part
    assert np.array_equal(result, core.find_tiles(query))


@pytest.mark.parametrize("name", ENCODERS)
def test_an_answer_is_bytes_in_every_format(tmp_path: Path, make_core: Make, name: str) -> None:
    dtype = "u8" if name == "compressed_segmentation" else "u1"
    path, core = write(tmp_path / "v.h5", np.ones((8, 8, 8), dtype)), make_core()
    query = ask(path, BoundingBox.of_shape((2, 8, 8)), format=name)
    answer = core.get_data(query)
    assert type(answer) is bytes
    assert answer == bytes(core.get_buffer(query))


@pytest.mark.parametrize("method", ["get_data", "get_buffer"])
def test_a_core_of_another_class_is_asked_for_what_it_overrides(
    tmp_path: Path, method: str
) -> None:
    path = write(tmp_path / "v.h5", np.ones((4, 8, 8), "u1"))
    asked: list[str] = []

    class Other(Core):
        def update_query(self, query: Any) -> dict[str, Any]:
            asked.append("update_query")
            return super().update_query(query)

        def find_tiles(self, d_query: DataQuery) -> np.ndarray:
            asked.append("find_tiles")
            assert d_query.known_volume is not None
            return np.full(d_query.shape, 7, "u1")

    query = ask(path, BoundingBox.of_shape((2, 3, 4)), format="raw")
    assert bytes(getattr(Other(Nodb("", RUNTIME())), method)(query)) == bytes([7]) * 24
    assert asked == ["update_query", "find_tiles"]


def test_what_update_query_gives_is_what_tiles_and_labels_are_found_with(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.h5", np.full((4, 8, 8), n, "u1")) for n in (1, 2)]

    class Other(Core):
        """Reads another channel than the one that is asked for."""

        def update_query(self, query: Any) -> dict[str, Any]:
            return super().update_query(DataQuery(path=paths[1]))

    core, box = Other(Nodb("", RUNTIME())), BoundingBox.of_shape((2, 3, 4))
    assert core.get_data(ask(paths[0], box, format="raw")) == bytes([2]) * 24
    assert core.find_unique(ask(paths[0], box)) == {2}


def test_the_attributes_of_a_tile_query(tmp_path: Path, make_core: Make) -> None:
    volume = np.arange(4 * 128 * 128, dtype="u2").reshape(4, 128, 128)
    path = write(tmp_path / "v.h5", volume, chunks=(2, 128, 64))
    core = make_core()
    query = DataQuery(path=path, y=10, height=30, width=20, resolution=1, voxel_offset=[0, 20, 0])
    query.update_source(core.update_query(query))
    tile = core.make_tile_query(query, [0, 0, 0])
    assert isinstance(tile, TileQuery)
    assert tile.index_zyx.tolist() == [0, 0, 0]
    assert tile.all_scales.tolist() == [1, 2, 2]
    assert tile.target_bounds.tolist() == [[0, 0, 0], [1, 30, 20]]
    assert tile.pixels_kji.tolist() == [[0, 0, 0], [1, 30, 20]]
    assert tile.target_origin.tolist() == [0, 0, 0]
    assert tile.source_bounds.tolist() == [[0, 0, 0], [1, 60, 40]]
    assert tile.target_tile_bounds[0].tolist() == [0, 0, 0]
    assert tile.source_tile_bounds[0].tolist() == [0, 0, 0]
    assert isinstance(tile.my_source, HDF5)
    assert tile.valid_source
    assert tile.preload_source["data-type"] == "uint16"
    finest = ask(path, BoundingBox.of_shape((1, 1, 1)))
    finest.update_source(core.update_query(finest))
    fine = core.make_tile_query(finest, [0, 0, 0])
    assert np.array_equal(
        fine.tile, volume[:, : fine.tile.shape[1], : fine.tile.shape[2]][: fine.tile.shape[0]]
    )
    assert len({core.make_tile_query(query, [0, 0, i]).key for i in range(3)}) == 3
    assert not TileQuery(
        DataQuery(path=str(tmp_path / "none.h5")), [0, 0, 0], np.zeros((2, 3))
    ).valid_source


def test_what_core_gives_cannot_harm_its_cache(tmp_path: Path, make_core: Make) -> None:
    path = write(tmp_path / "v.h5", np.ones((64, 64, 64), "u1"), chunks=(64, 64, 64))
    core, box = make_core(), BoundingBox.of_shape((64, 64, 64))
    found = core.find_tiles(ask(path, box))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 5


def test_sections_that_are_repeated_take_no_more_memory_than_the_answer(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (64, 64, 64), np.uint8)
    path = write(tmp_path / "v.h5", volume)
    query = DataQuery(path=path, z=5, depth=3, height=1, width=1 << 16, voxel_size=(4, 4, 4))
    query.resolution = 6
    query.update_source(Volume.open(query.spec).keywords)
    assert query.volume.level(6).factor == (64, 64, 64)
    voxels = np.zeros(query.box.shape, np.uint8)
    tracemalloc.start()
    spread = query.spread(voxels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spread.shape == query.shape
    assert peak < 2 * spread.nbytes
