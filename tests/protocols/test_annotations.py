"""Synapses as precomputed annotations: every byte as the specification has it, live, and linked.

The decoder below is written from ``annotation.rst`` of the Neuroglancer repository alone.
"""

from __future__ import annotations

import itertools
import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudvolume
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from bfly.tables.columns import ENDS
from bfly.testing.databases import random_synapses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from bfly.databases.engine import Engine
    from bfly.tables.columns import Columns

COUNT = 70_000
SIZE = (40.0, 4.0, 3.58)
ROOT = "/pre/e::s::d/seg"
SYNAPSES = f"{ROOT}/synapses"
FORMATS = {
    "float32": "f",
    "uint32": "I",
    "int32": "i",
    "uint16": "H",
    "int16": "h",
    "uint8": "B",
    "int8": "b",
}


class Annotation(NamedTuple):
    id: int
    geometry: tuple[float, ...]
    properties: dict[str, float]


def record(info: dict[str, Any]) -> struct.Struct:
    """Geometry, then numbers of 4, of 2 and of 1 byte, then zeros up to a multiple of 4."""
    rank = len(info["dimensions"])
    layout = f"<{rank * {'POINT': 1, 'LINE': 2}[info['annotation_type']]}f"
    for width in (4, 2, 1):
        for prop in info["properties"]:
            code = FORMATS[prop["type"]]
            if struct.calcsize(f"<{code}") == width:
                layout += code
    return struct.Struct(layout + "x" * (-struct.calcsize(layout) % 4))


def parsed(info: dict[str, Any], number: int, values: tuple[float, ...]) -> Annotation:
    widths = {p["id"]: struct.calcsize(f"<{FORMATS[p['type']]}") for p in info["properties"]}
    names = sorted(widths, key=lambda name: -widths[name])
    first = len(values) - len(names)
    properties = dict(zip(names, values[first:], strict=True))
    return Annotation(number, values[:first], properties)


def many(info: dict[str, Any], data: bytes) -> list[Annotation]:
    one = record(info)
    (count,) = struct.unpack_from("<Q", data)
    assert len(data) == 8 + count * (one.size + 8)
    ids = struct.unpack_from(f"<{count}Q", data, 8 + count * one.size)
    rows = one.iter_unpack(data[8 : 8 + count * one.size])
    return [parsed(info, number, row) for number, row in zip(ids, rows, strict=True)]


def single(info: dict[str, Any], number: int, data: bytes) -> tuple[Annotation, dict[str, Any]]:
    one = record(info)
    annotation = parsed(info, number, one.unpack_from(data))
    place, related = one.size, {}
    for relation in info["relationships"]:
        (count,) = struct.unpack_from("<I", data, place)
        related[relation["id"]] = struct.unpack_from(f"<{count}Q", data, place + 4)
        place += 4 + 8 * count
    assert place == len(data)
    return annotation, related


def table(lines: bool) -> Columns:
    """Return synapses with ids over all 64 bits, more columns, and perhaps with both ends."""
    rows = random_synapses(COUNT, seed=1, extent=20_000)
    random = np.random.default_rng(2)
    rows["__id"] = np.unique(random.integers(2**53, 2**64, COUNT, np.uint64))
    rows["n2"][:50] = 0
    more: Columns = {
        "Cleft size": random.integers(0, 3000, COUNT).astype(np.uint16),
        "score": random.random(COUNT),
        "valid": random.integers(0, 2, COUNT).astype(np.uint8),
        "2nd": random.integers(-5, 5, COUNT),
        "supervoxel": random.integers(2**53, 2**63, COUNT),
        "kind": np.array(["spine", "shaft"], object)[random.integers(0, 2, COUNT)],
    }
    if lines:
        for side in ENDS:
            for name in side:
                more[name] = (rows[name[-1]] + random.integers(-30, 30, COUNT)).astype(np.float32)
        for name in ENDS[0]:
            more[name][7] = np.nan
    return {**rows, **more}


def write(path: Path, columns: Columns) -> None:
    names = {"__id": "id", "n1": "pre", "n2": "post"}
    pa.parquet.write_table(pa.table({names.get(n, n): c for n, c in columns.items()}), path)


def configuration(folder: Path, **dataset: Any) -> Config:
    voxels = np.ones((8, 16, 16), np.uint64)
    with h5py.File(folder / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels)
        file.create_dataset("other", data=voxels)
    place = {"voxel_offset": [5, 6, 7], "voxel_size": list(SIZE), "kind": "segmentation"}
    channel = {"name": "seg", "path": str(folder / "seg.h5"), **place}
    tree = {"name": "d", "path": str(folder), "channels": [channel], **dataset}
    samples = [{"name": "s", "datasets": [tree]}]
    return Config.parse({"bfly": {"experiments": [{"name": "e", "samples": samples}]}}, "t.yaml")


class Served(NamedTuple):
    client: httpx.Client
    rows: Columns
    info: dict[str, Any]
    database: Engine
    path: str

    def get(self, path: str) -> bytes:
        answer = self.client.get(f"{SYNAPSES}/{path}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        return answer.content


@pytest.fixture(scope="module", params=["points", "lines"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serve: Callable
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("annotations")
    rows = table(request.param == "lines")
    write(folder / "synapses.parquet", rows)
    config = configuration(folder, synapses={"path": str(folder / "synapses.parquet")})
    database = Sqlite(str(folder / "bfly.db"), RUNTIME())
    with serve(config, database) as client:
        yield Served(client, rows, client.get(f"{SYNAPSES}/info").json(), database, str(folder))


def expected(served: Served, row: int) -> Annotation:
    """Return a row as it has to be shown."""
    rows = served.rows
    place = [rows[axis][row] + 0.5 for axis in "xyz"]
    if served.info["annotation_type"] == "LINE":
        ends = [[float(rows[f"{side}_{a}"][row]) + 0.5 for a in "xyz"] for side in ("pre", "post")]
        place = [n for end in ends for n in (place if np.isnan(end).any() else end)]
    properties = {
        "cleft_size": rows["Cleft size"][row],
        "score": np.float32(rows["score"][row]),
        "valid": rows["valid"][row],
        "c2nd": rows["2nd"][row],
    }
    return Annotation(int(rows["__id"][row]), tuple(place), properties)


def test_info(served: Served) -> None:
    info = served.info
    lines = "pre_z" in served.rows
    assert info["@type"] == "neuroglancer_annotations_v1"
    assert info["annotation_type"] == ("LINE" if lines else "POINT")
    assert info["dimensions"] == {
        "x": [3.58 / 1e9, "m"],
        "y": [4 / 1e9, "m"],
        "z": [40 / 1e9, "m"],
    }
    properties = {
        prop["id"]: (prop["type"], prop.get("description")) for prop in info["properties"]
    }
    assert properties == {
        "cleft_size": ("uint16", "Cleft size"),
        "score": ("float32", None),
        "valid": ("uint8", None),
        "c2nd": ("int32", "2nd"),
    }
    assert all(re.fullmatch("[a-z][a-zA-Z0-9_]*", name) for name in properties)
    assert [relation["id"] for relation in info["relationships"]] == ["pre", "post"]
    rows = served.rows
    for i, axis in enumerate("xyz"):
        shown = [rows[axis]] + [rows[f"{s}_{axis}"] for s in ("pre", "post") if lines]
        assert info["lower_bound"][i] == min(np.nanmin(values) for values in shown)
        assert info["upper_bound"][i] > max(np.nanmax(values) for values in shown)
    extent = np.subtract(info["upper_bound"], info["lower_bound"])
    assert info["spatial"][0]["grid_shape"] == [1, 1, 1]
    for level, finer in itertools.pairwise([*info["spatial"], info["spatial"][-1]]):
        assert np.array_equal(np.multiply(level["grid_shape"], level["chunk_size"]), extent)
        assert not np.any(np.mod(level["chunk_size"], finer["chunk_size"]))
        assert level["limit"] >= 1
    # Cells are about as high as they are wide and deep, in nanometres.
    sides = np.multiply(info["spatial"][-1]["chunk_size"], SIZE[::-1])
    assert max(sides) <= 2.01 * min(sides)


def test_every_synapse_is_in_one_cell_of_one_level(served: Served) -> None:
    rows, info = {int(n): i for i, n in enumerate(served.rows["__id"])}, served.info
    seen: list[int] = []
    for level in info["spatial"]:
        lower, size = np.array(info["lower_bound"]), np.array(level["chunk_size"])
        counts = []
        for cell in np.ndindex(*level["grid_shape"]):
            found = many(info, served.get(f"{level['key']}/{'_'.join(map(str, cell))}"))
            counts.append(len(found))
            seen += (each.id for each in found)
            some = [rows[each.id] for each in found]
            place = np.stack([served.rows[axis][some] for axis in "xyz"], axis=1) + 0.5
            assert np.array_equal((place - lower) // size, np.broadcast_to(cell, place.shape))
            for each in found[:20]:
                assert each == expected(served, rows[each.id])
        # However unevenly they lie, a coarse level stays a sample.
        assert np.mean(counts) <= level["limit"]
    assert len(info["spatial"]) == 3
    assert sorted(seen) == sorted(rows)


def test_a_cell_is_in_random_order(served: Served) -> None:
    found = many(served.info, served.get("spatial0/0_0_0"))
    assert len(found) > 500
    for values in ([a.id for a in found], *([a.geometry[i] for a in found] for i in range(3))):
        ranks = np.argsort(np.argsort(np.array(values, np.float64)))
        assert abs(np.corrcoef(ranks, np.arange(len(found)))[0, 1]) < 0.2


def test_synapses_of_a_segment(served: Served) -> None:
    rows = served.rows
    neurons, counts = np.unique(rows["n1"], return_counts=True)
    for neuron in (neurons[counts.argmax()], neurons[counts.argmin()], rows["n2"][99], 2**64 - 1):
        for relation, column in (("pre", "n1"), ("post", "n2")):
            found = many(served.info, served.get(f"{relation}/{neuron}"))
            wanted = np.flatnonzero(rows[column] == np.uint64(neuron))
            assert {each.id for each in found} == set(rows["__id"][wanted].tolist())
            by_id = {each.id: each for each in found}
            for row in wanted[:20]:
                assert by_id[int(rows["__id"][row])] == expected(served, row)
    assert served.get("pre/12345") == served.get("post/0") == bytes(8)


def test_one_synapse_with_its_neurons(served: Served) -> None:
    rows = served.rows
    for row in (0, 7, 99, COUNT - 1):
        number = int(rows["__id"][row])
        annotation, related = single(served.info, number, served.get(f"by_id/{number}"))
        assert annotation == expected(served, row)
        pre, post = int(rows["n1"][row]), int(rows["n2"][row])
        assert related == {"pre": (pre,), "post": (post,) if post else ()}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("by_id/1", 404),
        (f"by_id/{2**64}", 400),
        ("by_id/-1", 404),
        ("by_id/07", 404),
        (f"pre/{10**30}", 404),
        ("both/7", 404),
        ("spatial9/0_0_0", 404),
        ("spatial0/1_0_0", 404),
        ("spatial0/0_0", 404),
        ("spatial2/99_0_0", 404),
        ("nothing", 404),
    ],
)
def test_what_is_not_there(served: Served, path: str, status: int) -> None:
    assert served.client.get(f"{SYNAPSES}/{path}").status_code == status
    assert served.client.head(f"{SYNAPSES}/{path}").status_code == status


@pytest.mark.parametrize("served", ["points"], indirect=True)
def test_cloudvolume_reads_points(served: Served) -> None:
    """Not lines: CloudVolume 12.15 fails on those of any writer."""
    rows = served.rows
    url = f"{served.client.base_url}".rstrip("/") + SYNAPSES
    source = cloudvolume.from_cloudpath(f"precomputed://{url}")
    neuron = int(rows["n1"][99])
    found = source.get_by_relationship("pre", neuron)
    wanted = np.flatnonzero(rows["n1"] == np.uint64(neuron))
    assert sorted(found.ids.tolist()) == sorted(rows["__id"][wanted].tolist())
    places = {number: tuple(place) for number, place in zip(found.ids, found.geometry, strict=True)}
    scores = dict(zip(found.ids, found.properties["score"], strict=True))
    for row in wanted:
        number = rows["__id"][row]
        assert places[number] == tuple(rows[axis][row] + 0.5 for axis in "xyz")
        assert scores[number] == np.float32(rows["score"][row])
    number = int(rows["__id"][99])
    one = source.get_by_id([number])[number]
    assert one.relationships["pre"].tolist() == [neuron]
    assert one.properties["cleft_size"] == rows["Cleft size"][99]
    everything = {i for mip in range(3) for i in source.get_all(mip=mip).ids.tolist()}
    assert everything == set(rows["__id"].tolist())


def test_etags_change_with_the_database(served: Served) -> None:
    first = served.info["spatial"][0]["key"]
    number = many(served.info, served.get(f"{first}/0_0_0"))[5].id
    row = int(np.flatnonzero(served.rows["__id"] == np.uint64(number))[0])
    paths = [f"{SYNAPSES}/{part}" for part in (f"by_id/{number}", f"{first}/0_0_0")]
    paths += [f"{SYNAPSES}/pre/{served.rows['n1'][row]}", f"{ROOT}/segment_properties/info"]

    def etags() -> list[str]:
        return [served.client.get(path).headers["etag"] for path in paths]

    before = etags()
    assert all(etag.startswith('"') for etag in before)
    assert etags() == before
    for path, etag in zip(paths, before, strict=True):
        again = served.client.get(path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
    change = {"__id": number, "n1": int(served.rows["n1"][row + 1]), "valid": 9}
    served.database.add_entry("synapse", served.path, change)
    assert not set(etags()) & set(before)
    old = {name: column[row : row + 1] for name, column in served.rows.items()}
    served.database.upsert("synapse", served.path, old)
    assert etags() == before


def test_segment_properties(served: Served) -> None:
    rows = served.rows
    info = served.client.get(f"{ROOT}/info").json()
    properties = served.client.get(f"{ROOT}/{info['segment_properties']}/info").json()
    assert properties["@type"] == "neuroglancer_segment_properties"
    inline = properties["inline"]
    names, out = np.unique(rows["n1"], return_counts=True)
    others, into = np.unique(rows["n2"], return_counts=True)
    wanted = sorted({*names.tolist(), *others.tolist()} - {0})
    assert inline["ids"] == list(map(str, wanted))
    values = {prop["id"]: prop for prop in inline["properties"]}
    assert list(values) == ["degree_out", "degree_in", "soma_x", "soma_y", "soma_z"]
    for name, numbers, counts in (("degree_out", names, out), ("degree_in", others, into)):
        known = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        assert values[name]["values"] == [known.get(neuron, 0) for neuron in wanted]
        assert (values[name]["type"], values[name]["data_type"]) == ("number", "uint32")
    neuron = wanted[3]
    place = served.database.neuron_keypoint("neuron", served.path, neuron, 1)
    assert [values[f"soma_{axis}"]["values"][3] for axis in "zyx"] == list(place.values())


def test_numbers_and_words_of_neurons(tmp_path: Path, serve: Callable) -> None:
    text = "id,x,y,z,type,size,volume,root\n7,1,2,3,pyramidal,5,1.5,9007199254740993\n"
    text += f"{2**64 - 1},4,5,6,,6,,1\n"
    (tmp_path / "neurons.csv").write_text(text)
    with serve(configuration(tmp_path, neurons={"path": str(tmp_path / "neurons.csv")})) as client:
        inline = client.get(f"{ROOT}/segment_properties/info").json()["inline"]
        assert client.get(f"{ROOT}/synapses/info").status_code == 404
    assert inline["ids"] == ["7", str(2**64 - 1)]
    values = {prop["id"]: (prop["type"], prop["values"]) for prop in inline["properties"]}
    assert values["degree_in"] == ("number", [0, 0])
    assert values["type"] == ("string", ["pyramidal", ""])
    assert values["size"] == ("number", [5, 6])
    assert values["volume"] == ("string", ["1.5", ""])
    assert values["root"] == ("string", ["9007199254740993", "1"])


def test_a_dataset_without_neurons_has_no_link_to_them(tmp_path: Path, serve: Callable) -> None:
    with serve(configuration(tmp_path)) as client:
        assert "segment_properties" not in client.get(f"{ROOT}/info").json()
        for path in ("segment_properties/info", "synapses/info", "synapses/pre/7"):
            assert client.get(f"{ROOT}/{path}").status_code == 404


def test_links_are_below_an_encoding_too(served: Served) -> None:
    for encoding in ("raw", "compressed_segmentation"):
        info = served.client.get(f"{ROOT}/{encoding}/info").json()
        url = f"{ROOT}/{encoding}/{info['segment_properties']}/info"
        assert (
            served.client.get(url).content
            == served.client.get(f"{ROOT}/segment_properties/info").content
        )
