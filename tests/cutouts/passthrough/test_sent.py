"""A chunk is sent as stored where that is the answer, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.edits.patch import Fresh, painted
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.sources.encoded_chunks import StoredAs
from bfly.testing.sources.unpacking import unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.core.core import Core

EVERYTHING = "gzip, deflate, br, zstd"
CODED = ["zarr2 gzip", "zarr2 zlib", "zarr2 zstd", "zarr3 gzip"]
CODED += ["n5 gzip, voxels", "n5 zlib, voxels", "n5 zstd, voxels"]
CODED += ["raw, .gz", "raw, .br", "raw, .zstd"]


def test_a_chunk_is_sent_as_it_lies_in_its_file(client, folder: Path, ask, case) -> None:
    stored = (folder / case.name / case.file).read_bytes()[case.header :]
    # A chunk stored without compression is compressed for clients that accept gzip.
    accept = EVERYTHING if case.coding else "deflate, zstd"
    for path in case.paths:
        got, body = ask(client, case, path, accept)
        assert got.status_code == 200
        assert got.headers.get("content-encoding", "") == case.coding
        assert body == stored
        if case.coding:
            assert "accept-encoding" in got.headers["vary"]


@pytest.mark.parametrize("case", ["zarr2 plain", *CODED, "raw"], indirect=True)
def test_every_client_gets_the_same_voxels(client, ask, case) -> None:
    (path,), etags = case.paths, set()
    for accept, agent, allowed in (
        ("identity", "curl", {""}),
        ("gzip", "curl", {"", "gzip"}),
        ("deflate", "curl", {"", "deflate"}),
        ("zstd", "curl", {"", "zstd"}),
        ("br", "curl", {"", "br"}),
        ("zstd;q=0, deflate;q=0, *", "curl", {"", "gzip"}),
        ("gzip;q=0, deflate, zstd, br;q=0", "curl", {"", "deflate", "zstd"}),
        (EVERYTHING, "python-requests/2.32", {"", "br", "gzip", "zstd"}),
    ):
        got, body = ask(client, case, path, accept, **{"user-agent": agent})
        coding = got.headers.get("content-encoding", "")
        assert coding in allowed
        assert coding == case.coding or case.coding not in allowed - {""}
        way = StoredAs("raw", coding)
        found = unpacked(body, way, case.voxels.shape, case.voxels.dtype)
        np.testing.assert_array_equal(found, case.voxels)
        etags.add((coding, got.headers["etag"]))
    assert len({coding for coding, _ in etags}) == len({etag for _, etag in etags}) == len(etags)


@pytest.mark.parametrize("case", CODED, indirect=True)
def test_ranges_count_the_bytes_of_voxels(client, ask, case) -> None:
    got, body = ask(client, case, case.paths[0], EVERYTHING, range="bytes=40-79")
    assert (got.status_code, got.headers.get("content-encoding")) == (206, None)
    assert body == case.voxels.tobytes()[40:80]


def test_what_is_not_the_chunk_is_made(client, ask, case) -> None:
    """Among it what lies in a chunk that leaves the volume."""
    for place, part in (
        ("64-128_64-100_0-64", np.s_[:, 64:, 64:128]),
        ("128-140_0-64_0-64", np.s_[:, :64, 128:]),
        ("64-128_0-64_0-63", np.s_[:63, :64, 64:128]),
    ):
        got, body = ask(client, case, f"/pre/{{token}}/{{name}}/raw/0/{place}", "identity")
        assert got.status_code == 200
        expected = case.volume[part]
        found = np.frombuffer(body, expected.dtype).reshape(expected.shape)
        most = 12 if case.name == "jpeg" else 0
        assert np.abs(found.astype(float) - expected).max() <= most


@pytest.mark.parametrize("case", ["zarr2 zstd as zarr"], indirect=True)
def test_a_chunk_of_zarr_that_leaves_the_volume_ends_in_zeros(client, ask, case) -> None:
    expected = np.zeros_like(case.voxels)
    expected[..., :12] = case.volume[:, :64, 128:]
    _, body = ask(client, case, case.paths[0][:-1] + "2", EVERYTHING)
    found = unpacked(body, StoredAs("zstd", ""), expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)


# Through the core, which tells what was not made


def passes(core: Core, path: Path, **words: Any) -> bool:
    box = {"depth": 64, "height": 64, "width": 64, "x": 64}
    query = DataQuery(**{"path": str(path), "format": "raw", **box, **words})
    return core.get_stored(query, ["zstd", "deflate", "gzip"]) is not None


@pytest.mark.parametrize("case", ["zarr2 plain", "zarr2 zlib", "zarr3 gzip", "raw"], indirect=True)
def test_labels_that_were_edited_are_made(folder: Path, make_core, case) -> None:
    core, path, words = make_core(), folder / case.name, {"kind": "segmentation"}
    assert passes(core, path, **words)
    info = InfoQuery(method="websocket:save", path=str(path), **words)
    core.get_edits(info, {"merge": [["1", "2"]], "split": []})
    assert not passes(core, path, **words)
    assert passes(core, path, labels="supervoxels", **words)


@pytest.mark.parametrize("case", ["zarr2 zlib", "raw"], indirect=True)
def test_patched_labels_are_made_where_a_patch_is(folder: Path, make_core, case) -> None:
    core, path, words = make_core(), folder / case.name, {"kind": "segmentation"}
    edits = core.edits.channel(str(path))
    for x, passes_then in ((0, True), (70, False)):
        box = BoundingBox.of_shape((1, 1, 2), (0, 0, x))
        voxels = np.zeros(box.shape, case.voxels.dtype)

        def plan(state: Any, box: Any = box, voxels: Any = voxels) -> Any:
            fresh = Fresh(200, 255)
            return [painted(state, box, voxels, np.ones(box.shape, bool), None, fresh, "")]

        edits.append(plan)
        assert passes(core, path, labels="patched", **words) == passes_then
        assert not passes(core, path, **words)
        assert passes(core, path, labels="supervoxels", **words)


@pytest.mark.parametrize("case", ["jpeg", "png"], indirect=True)
def test_pictures_in_colours_are_made(folder: Path, make_core, case) -> None:
    core, path, words = make_core(), folder / case.name, {"format": case.name}
    assert passes(core, path, **words)
    assert not passes(core, path, view="colormap", **words)
    assert not passes(core, path, kind="segmentation", **words)


@pytest.mark.parametrize("case", ["raw"], indirect=True)
def test_a_box_that_is_no_chunk_is_made(folder: Path, make_core, case) -> None:
    core, path = make_core(), folder / case.name
    assert passes(core, path)
    for words in ({"x": 63}, {"depth": 63}, {"width": 32}, {"resolution": 1, "x": 0}):
        assert not passes(core, path, **words)
