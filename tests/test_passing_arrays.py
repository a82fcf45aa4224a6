"""Chunks of zarr, N5 and precomputed volumes that are answers, through HTTP and to real clients."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numcodecs
import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.sources.stored import StoredAs
from bfly.testing.sources.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from bfly.core import Core

SIDE = 64
SHAPE = (64, 100, 140)
WHOLE = np.s_[:, :64, 64:128]
"""The voxels of the chunk that is asked for."""

BASE = "exp::sam::dat/{name}"
PRE = f"/pre/{BASE}/raw/0/64-128_0-64_0-64"
ZARR = f"/zarr/{BASE}/0/0/0/1"
ZARR3 = f"/zarr3/{BASE}/0/c/0/0/1"
N5 = f"/n5/{BASE}/s0/1/0/0"
EVERYTHING = "gzip, deflate, br, zstd"


def images() -> np.ndarray:
    """Voxels that JPEG, too, keeps near to what they are."""
    z, y, x = np.indices(SHAPE)
    return ((x + y // 2 + z // 4) % 256).astype("u1")


def labels(dtype: str = "u4") -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return (1 + x // 9 + 20 * (y // 7) + 400 * (z // 11)).astype(dtype)


def write_zarr(path: Path, volume: np.ndarray, **options: Any) -> None:
    options = {"shape": SHAPE, "dtype": volume.dtype, "chunks": (SIDE,) * 3, **options}
    zarr.create_array(str(path), **options)[...] = volume


def write_n5(path: Path, volume: np.ndarray, **compression: Any) -> None:
    metadata = {"dimensions": SHAPE[::-1], "blockSize": (SIDE,) * 3, "dataType": volume.dtype.name}
    metadata["compression"] = compression
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result().write(volume.T).result()


def write_precomputed(path: Path, volume: np.ndarray, encoding: str, **scale: Any) -> None:
    kind = "image" if volume.itemsize == 1 else "segmentation"
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {"type": kind, "data_type": volume.dtype.name, "num_channels": 1},
        "scale_metadata": {
            **{"size": SHAPE[::-1], "encoding": encoding, "chunk_size": [SIDE] * 3},
            **{"resolution": [4, 4, 30], **scale},
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(volume.T).result()


class Case(NamedTuple):
    """A way in which the chunk is stored, and where it is then the answer."""

    write: Callable[[Path], None]
    voxels: np.ndarray
    file: str
    paths: tuple[str, ...]
    """Addresses whose answer is the file; of the first one the voxels are known as well."""
    coding: str = ""
    header: int = 0
    """Bytes of the file that are not sent to the first of the addresses."""


def zarr_case(volume: np.ndarray, file: str, *paths: str, coding: str = "", **options: Any) -> Case:
    return Case(partial(write_zarr, volume=volume, **options), volume, file, paths, coding)


def n5_case(volume: np.ndarray, *paths: str, coding: str = "", header: int = 0, **by: Any) -> Case:
    write = partial(write_n5, volume=volume, **by)
    return Case(write, volume, FILE5, paths, coding, header)


def pre_case(volume: np.ndarray, encoding: str, *paths: str, **scale: Any) -> Case:
    write = partial(write_precomputed, volume=volume, encoding=encoding, **scale)
    return Case(write, volume, FILE, paths)


V2, V3 = {"zarr_format": 2}, {"zarr_format": 3}
FILE2, FILE3, FILE5, FILE = "0.0.1", "c/0/0/1", "1/0/0", "4_4_30/64-128_0-64_0-64"
FIRST = {FILE2: "0.0.0", FILE5: "0/0/0", FILE: "4_4_30/0-64_0-64_0-64"}
"""The file of another chunk."""

BLOSC = {"compressors": numcodecs.Blosc("lz4", 5, 2)}
SEGMENTS = {"compressed_segmentation_block_size": [8, 8, 8]}

CASES = {
    "zarr2-plain": zarr_case(images(), FILE2, PRE, compressors=None, **V2),
    "zarr2-gzip": zarr_case(
        labels(), FILE2, PRE, coding="gzip", compressors=numcodecs.GZip(9), **V2
    ),
    "zarr2-zlib": zarr_case(
        labels(), FILE2, PRE, coding="deflate", compressors=numcodecs.Zlib(9), **V2
    ),
    "zarr2-zstd": zarr_case(
        labels("u8"), FILE2, PRE, coding="zstd", compressors=numcodecs.Zstd(9), **V2
    ),
    "zarr2-zstd-as-zarr": zarr_case(
        labels("u8"), FILE2, ZARR, ZARR3, compressors=numcodecs.Zstd(9), **V2
    ),
    "zarr2-blosc": zarr_case(
        labels(),
        FILE2,
        ZARR.replace("/0/", "/blosc/0/", 1),
        ZARR3.replace("/0/", "/blosc/0/", 1),
        **BLOSC,
        **V2,
    ),
    "zarr3-gzip": zarr_case(
        labels(), FILE3, PRE, coding="gzip", compressors=zarr.codecs.GzipCodec(level=9), **V3
    ),
    "zarr3-zstd": zarr_case(
        images(),
        FILE3,
        ZARR,
        ZARR3,
        compressors=zarr.codecs.ZstdCodec(level=9, checksum=True),
        **V3,
    ),
    "n5-gzip": n5_case(labels("u8"), N5, type="gzip", level=9),
    "n5-gzip-voxels": n5_case(images(), PRE, coding="gzip", header=16, type="gzip", level=9),
    "n5-zlib-voxels": n5_case(
        images(), PRE, coding="deflate", header=16, type="gzip", level=9, useZlib=True
    ),
    "n5-zstd-voxels": n5_case(images(), PRE, coding="zstd", header=16, type="zstd", level=9),
    "pre-raw": pre_case(labels(), "raw", PRE),
    "pre-jpeg": pre_case(images(), "jpeg", PRE.replace("raw", "jpeg"), jpeg_quality=70),
    "pre-png": pre_case(images(), "png", PRE.replace("raw", "png")),
    "pre-segments": pre_case(
        labels("u8"),
        "compressed_segmentation",
        PRE.replace("raw", "compressed_segmentation"),
        **SEGMENTS,
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("passing")
    for name, case in CASES.items():
        case.write(folder / name)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path, serve, make_tree) -> Iterator[httpx.Client]:
    with serve(make_tree(*({"name": name, "path": str(folder / name)} for name in CASES))) as it:
        yield it


def raw(client: httpx.Client, path: str, accept: str = EVERYTHING, **headers: str) -> Any:
    """Ask; gives the response and its body, still packed."""
    with client.stream("GET", path, headers={"accept-encoding": accept, **headers}) as got:
        return got, b"".join(got.iter_raw())


@pytest.mark.parametrize("name", CASES)
def test_a_chunk_is_sent_as_it_lies_in_its_file(client, folder: Path, name: str) -> None:
    case = CASES[name]
    stored = (folder / name / case.file).read_bytes()[case.header :]
    for path in case.paths:
        # What is not packed is packed for who takes gzip, as voxels that are made are.
        accept = EVERYTHING if case.coding else "deflate, zstd"
        got, body = raw(client, path.format(name=name), accept)
        assert got.status_code == 200
        assert got.headers.get("content-encoding", "") == case.coding
        assert body == stored
        assert ("accept-encoding" in got.headers.get("vary", "")) >= bool(case.coding)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.paths == (PRE,)])
def test_every_client_gets_the_same_voxels(client, name: str) -> None:
    case, path = CASES[name], PRE.format(name=name)
    etags = set()
    for accept, agent in (
        ("identity", "curl"),
        (f"{case.coding or 'gzip'};q=0, *", "curl"),
        ("gzip", "curl"),
        ("deflate", "curl"),
        ("zstd", "curl"),
        (EVERYTHING, "python-requests/2.32"),
    ):
        got, body = raw(client, path, accept, **{"user-agent": agent})
        coding = got.headers.get("content-encoding", "")
        assert coding in ("", *(word for word in accept.split(", ") if "=" not in word), "gzip")
        sent = StoredAs("raw", coding)
        voxels = unpacked(body, sent, (SIDE,) * 3, case.voxels.dtype)
        np.testing.assert_array_equal(voxels, case.voxels[WHOLE])
        etags.add((coding, got.headers["etag"]))
    assert len({coding for coding, _ in etags}) == len({etag for _, etag in etags}) == len(etags)
    ranged = client.get(path, headers={"accept-encoding": EVERYTHING, "range": "bytes=40-79"})
    assert (ranged.status_code, ranged.headers.get("content-encoding")) == (206, None)
    assert ranged.content == case.voxels[WHOLE].tobytes()[40:80]


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_the_chunk_is_made(client, folder: Path, name: str) -> None:
    case = CASES[name]
    ends = (PRE, "64-128_64-100_0-64"), (PRE, "128-140_0-64_0-64"), (PRE, "64-128_0-64_0-63")
    parts = np.s_[:, 64:, 64:128], np.s_[:, :64, 128:], np.s_[:63, :64, 64:128]
    for (path, place), part in zip(ends, parts, strict=True):
        got = client.get(f"{path[: path.rindex('/')]}/{place}".format(name=name))
        voxels = case.voxels[part]
        found = np.frombuffer(got.content, voxels.dtype).reshape(voxels.shape)
        most = 12 if name == "pre-jpeg" else 0
        assert np.abs(found.astype(float) - voxels).max() <= most


def test_a_chunk_of_zarr_that_leaves_the_volume_ends_in_zeros(client) -> None:
    stored = ZARR.format(name="zarr2-zstd-as-zarr").replace("0/0/0/1", "0/0/0/2")
    expected = np.zeros((SIDE,) * 3, "u8")
    expected[..., :12] = labels("u8")[:, :64, 128:]
    _, body = raw(client, stored)
    np.testing.assert_array_equal(
        unpacked(body, StoredAs("zstd", ""), expected.shape, expected.dtype), expected
    )


# Through the core, which tells what was not made


def passes(core: Core, path: Path, **words: Any) -> bool:
    box = {"depth": SIDE, "height": SIDE, "width": SIDE, "x": SIDE}
    query = DataQuery(**{"path": str(path), "format": "raw", **box, **words})
    return core.get_stored(query, ["zstd", "deflate", "gzip"]) is not None


@pytest.mark.parametrize("name", ["zarr2-plain", "zarr2-zlib", "zarr3-gzip", "pre-raw"])
def test_labels_that_were_edited_are_made(folder: Path, make_core, name: str) -> None:
    core, path = make_core(), folder / name
    words = {"kind": "segmentation"}
    assert passes(core, path, **words)
    info = InfoQuery(method="websocket:save", path=str(path), **words)
    core.get_edits(info, {"merge": [["1", "2"]], "split": []})
    assert not passes(core, path, **words)
    assert passes(core, path, labels="supervoxels", **words)


def test_pictures_in_colours_are_made(folder: Path, make_core) -> None:
    for encoding in ("jpeg", "png"):
        core, path = make_core(), folder / f"pre-{encoding}"
        assert passes(core, path, format=encoding)
        assert not passes(core, path, format=encoding, view="colormap")
        assert not passes(core, path, format=encoding, kind="segmentation")


def test_a_box_that_is_no_chunk_is_made(folder: Path, make_core) -> None:
    core = make_core()
    for words in ({"x": 63}, {"depth": 63}, {"width": 32}, {"resolution": 1, "x": 0}):
        assert not passes(core, folder / "pre-raw", **words)


# What is no longer as it was


@pytest.mark.parametrize("left", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", CASES)
def test_a_chunk_cut_short_is_an_error(
    tmp_path: Path, serve, make_tree, name: str, left: float
) -> None:
    case = CASES[name]
    case.write(tmp_path / name)
    file = tmp_path / name / case.file
    os.truncate(file, int(left * file.stat().st_size))
    with serve(make_tree({"name": name, "path": str(tmp_path / name)})) as client:
        for path in case.paths:
            got = client.get(path.format(name=name), headers={"accept-encoding": EVERYTHING})
            assert got.status_code == 503
            assert case.file in got.text


@pytest.mark.parametrize("name", ["zarr2-zstd-as-zarr", "n5-gzip", "pre-jpeg"])
def test_a_chunk_that_is_replaced_is_sent_anew(tmp_path: Path, serve, make_tree, name: str) -> None:
    case = CASES[name]
    case.write(tmp_path / name)
    file = tmp_path / name / case.file
    other = file.with_name("other")
    other.write_bytes((tmp_path / name / FIRST[case.file]).read_bytes())
    before, after = file.read_bytes(), other.read_bytes()
    path, deadline = case.paths[0].format(name=name), time.monotonic() + 30
    with serve(make_tree({"name": name, "path": str(tmp_path / name)})) as client:
        assert raw(client, path)[1] == before != after
        other.replace(file)
        while (got := raw(client, path)[1]) != after and time.monotonic() < deadline:
            assert got == before
            time.sleep(0.1)
        assert got == after
