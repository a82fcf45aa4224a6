"""Datasets of webKnossos: a channel for each layer, in whatever format its arrays are."""

from __future__ import annotations

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.webknossos.source import WebKnossos
from bfly.storage.files import Files
from bfly.storage.part import Part, split_path
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import padded_slice, random_volume
from tests.fixtures.wkw_dataset import DOCUMENT, describe, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Voxels = np.ndarray[Any, np.dtype[Any]]


class TestWkw(SourceSuite):
    source = WebKnossos
    dtypes = ("uint8", "uint64")

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume)


class TestZarr3(SourceSuite):
    source = WebKnossos
    dtypes = ("uint8", "uint32")
    given_as = frozenset({StoredAs("zstd", ""), StoredAs("raw", "zstd")})

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write_arrays(folder / "data", {"1": volume}, "zarr3")


def write_arrays(
    folder: Path,
    mags: dict[str, Voxels],
    form: str,
    *,
    place: tuple[int, int, int] = (0, 0, 0),
    layer: str = "color",
    category: str = "color",
) -> Path:
    """Write a layer in any format but WKW; arrays go from voxel 0 to past the layer's end."""
    entries = []
    for mag, voxels in mags.items():
        steps = [int(step) for step in mag.split("-")] * (3 if "-" not in mag else 1)
        start = [at // step for at, step in zip(place, steps[::-1], strict=True)]
        if form == "neuroglancerPrecomputed":
            _precomputed(folder / layer, mag, voxels, start, steps)
        else:
            ends = [(0, 3)] * 3 if any(place) else [(0, 0)] * 3
            pads = [(at, end) for at, (_, end) in zip(start, ends, strict=True)]
            ARRAYS[form](folder / layer / mag, np.pad(voxels, pads, constant_values=9))
        entries.append({"mag": steps, "path": f"./{layer}/{mag}"})
        if form == "zarr":
            entries[-1]["axisOrder"] = {"z": 0, "y": 1, "x": 2}
    depth, height, width = next(iter(mags.values())).shape
    box = {"topLeft": place[::-1], "width": width, "height": height, "depth": depth}
    stated = {"name": layer, "category": category, "dataFormat": form, "boundingBox": box}
    describe(folder, {**stated, "mags": entries}, (30.0, 4.0, 5.0))
    return folder


def _zarr(version: int) -> Callable[[Path, Voxels], None]:
    def write_zarr(path: Path, voxels: Voxels) -> None:
        names = {"dimension_names": ["z", "y", "x"]} if version == 3 else {}
        zarr.create_array(path, data=voxels, chunks=(4, 8, 8), zarr_format=version, **names)

    return write_zarr


def _n5(path: Path, voxels: Voxels) -> None:
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": {"blockSize": [8, 8, 4]}}
    ts.open(spec, create=True, dtype=voxels.dtype, shape=voxels.T.shape).result()[...] = voxels.T


ARRAYS = {"zarr": _zarr(2), "zarr3": _zarr(3), "n5": _n5}


def _precomputed(
    folder: Path, key: str, voxels: Voxels, start: list[int], steps: list[int]
) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{folder}/",
        "multiscale_metadata": {
            "type": "image",
            "data_type": voxels.dtype.name,
            "num_channels": 1,
        },
        "scale_metadata": {
            "key": key,
            "size": voxels.shape[::-1],
            "voxel_offset": start[::-1],
            "resolution": [a * b for a, b in zip((5, 4, 30), steps, strict=True)],
            "chunk_size": [8, 8, 4],
            "encoding": "raw",
        },
    }
    ts.open(spec, create=True).result()[...] = voxels.T[..., np.newaxis]


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((folder / DOCUMENT).read_text())
    change(document)
    (folder / DOCUMENT).write_text(json.dumps(document))


def whole(source: WebKnossos, mip: int = 0) -> Voxels:
    return source.read(mip, source.scales[mip].box)


@pytest.mark.parametrize("place", [(0, 0, 0), (4, 8, 16), (6, 10, 2)])
@pytest.mark.parametrize("form", ["wkw", *ARRAYS, "neuroglancerPrecomputed"])
def test_mags_of_a_layer_are_mips_at_their_place(
    tmp_path: Path, form: str, place: tuple[int, int, int]
) -> None:
    mags = {
        "1": random_volume((8, 32, 24), "uint16"),
        "2-2-1": random_volume((8, 16, 12), "uint16", seed=1),
        "4-4-2": random_volume((4, 8, 6), "uint16", seed=2),
    }
    path = tmp_path / "data"
    if form == "wkw":
        write(path, mags, place=place, voxel_size=(30.0, 4.0, 5.0))
    else:
        write_arrays(path, mags, form, place=place)
    source = WebKnossos.open(str(path))
    assert [scale.factor for scale in source.scales.values()] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    assert source.voxel_size == (30.0, 4.0, 5.0)
    assert source.voxel_size_source == "file: webKnossos scale"
    assert (source.kind, source.kind_source) == ("image", "file: webKnossos category")
    assert source.scales[0].origin == place
    for mip, voxels in enumerate(mags.values()):
        steps = source.scales[mip].factor
        phase = [at % step for at, step in zip(place, steps, strict=True)]
        box = BoundingBox.of_shape(voxels.shape)
        np.testing.assert_array_equal(source.read(mip, box), voxels)
        assert all(
            -(-(size * step + off) // step) == got
            for size, step, off, got in zip(
                voxels.shape, steps, phase, source.scales[mip].shape, strict=True
            )
        )


def test_a_dataset_is_a_channel_for_each_layer(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    volumes = {
        "data-color": random_volume((4, 8, 8), "uint8"),
        "data-ids": random_volume((4, 8, 8), "uint32"),
    }
    both = random_volume((4, 8, 8, 2), "uint8")
    write(folder, volumes["data-color"])
    write_arrays(folder, {"1": volumes["data-ids"]}, "zarr", layer="ids", category="segmentation")
    write(folder, both, layer="both")
    found = scan(str(tmp_path), Files())
    (dataset,) = found.experiments[0].samples[0].datasets
    volumes |= {"data-both": both[..., 0], "data-both-c1": both[..., 1]}
    assert {channel.name for channel in dataset.channels} == {*volumes}
    for channel in dataset.channels:
        path, part = split_path(channel.path)
        source = WebKnossos.open(path, part=part)
        np.testing.assert_array_equal(whole(source), volumes[channel.name])
    assert source.kind == "segmentation"
    for part in ("color,t=1", "ids,t=1"):
        with pytest.raises(SourceError, match="has no axis t for t=1"):
            WebKnossos.open(str(folder), part=Part.parse(part))


def test_a_dataset_without_a_description_is_a_channel_for_each_layer(tmp_path: Path) -> None:
    for layer in ("color", "segmentation"):
        write(tmp_path / "d", random_volume((4, 8, 8), "uint8"), layer=layer, voxel_size=None)
    found = scan(str(tmp_path), Files())
    (dataset,) = found.experiments[0].samples[0].datasets
    assert [channel.name for channel in dataset.channels] == ["color", "segmentation"]


@pytest.mark.parametrize(
    ("mags", "steps"),
    [
        ([{"mag": 1}], (1, 1, 1)),
        ([{"mag": "1"}], (1, 1, 1)),
        ([{"mag": [1, 1, 1], "path": "1"}], (1, 1, 1)),
        ([{"mag": "2-2-1", "path": "./color/1"}], (1, 2, 2)),
        ([{"mag": [2, 2, 1], "path": "color/1"}], (1, 2, 2)),
    ],
)
@pytest.mark.parametrize("key", ["mags", "wkwResolutions"])
def test_forms_of_mags(tmp_path: Path, key: str, mags: list[Any], steps: tuple[int, ...]) -> None:
    voxels = random_volume((4, 8, 8), "uint8")
    folder = write(tmp_path / "d", voxels)
    if key != "mags":
        mags = [{"resolution": each["mag"], **each, "mag": each["mag"]} for each in mags]

    def change(document: dict[str, Any]) -> None:
        (layer,) = document["dataLayers"]
        del layer["mags"]
        layer[key] = mags
        layer["boundingBox"] |= {"width": 8 * steps[2], "height": 8 * steps[1]}

    edit(folder, change)
    source = WebKnossos.open(str(folder))
    np.testing.assert_array_equal(whole(source), voxels)
    assert source.voxel_size == tuple(a * b for a, b in zip((30, 4, 4), steps, strict=True))


def test_a_mag_may_be_in_another_dataset(tmp_path: Path) -> None:
    voxels = random_volume((4, 8, 8), "uint8")
    write(tmp_path / "other", voxels)
    folder = write(tmp_path / "d", random_volume((4, 8, 8), "uint8", seed=1))
    edit(folder, lambda d: d["dataLayers"][0]["mags"][0].update(path="../other/color/1"))
    np.testing.assert_array_equal(whole(WebKnossos.open(str(folder))), voxels)
    with pytest.raises(NotAllowed, match="is not in allowed-paths"):
        WebKnossos.open(str(folder), files=Files([str(folder)]))


def test_layers_and_mags_that_are_absent_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mags = {"1": random_volume((4, 8, 8), "uint8"), "2": random_volume((2, 4, 4), "uint8")}
    folder = write(tmp_path / "d", mags)
    shutil.rmtree(folder / "color" / "2")
    assert WebKnossos.open(str(folder)).scales.keys() == {0}
    assert "its mag 2-2-2 is missing; it is computed instead" in caplog.text
    shutil.rmtree(folder / "color")
    assert [str(part) for part in WebKnossos.parts(str(folder), Files())] == ["color"]
    with pytest.raises(SourceError, match=r"its finest mag, 1-1-1, is missing.*d/color/1\."):
        WebKnossos.open(str(folder))
    with pytest.raises(SourceError, match="has no layer colour; it has color"):
        WebKnossos.open(str(folder), part=Part("colour"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataFormat": "knossos"}, "has the dataFormat knossos; allowed are wkw, zarr, zarr3, n5"),
        ({"mags": []}, "the layer color states no mags"),
        ({"mags": [{"mag": "2-2"}]}, "a mag is '2-2'; allowed are a whole number"),
        ({"mags": [{"mag": [0, 1, 1]}]}, r"a mag is \[0, 1, 1\]; allowed are"),
        ({"boundingBox": {"topLeft": [0, 0]}}, "its boundingBox is .*; allowed are a topLeft"),
        ({"name": 7}, "the name of a layer is 7; it has to be text"),
        ({"mags": [{"mag": 1, "path": "https://h.org/d/color/1"}]}, "is WKW behind a URL"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    folder = write(tmp_path / "d", random_volume((4, 8, 8), "uint8"))
    edit(folder, lambda document: document["dataLayers"][0].update(change))
    assert WebKnossos.guess_can_open(str(folder))
    with pytest.raises(SourceError, match=reason):
        WebKnossos.open(str(folder), files=Files(["/", "https://h.org/"]))


def test_what_the_description_gets_wrong_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    voxels = random_volume((4, 8, 8), "uint8")
    folder = write_arrays(tmp_path / "d", {"1": voxels}, "zarr3")
    edit(folder, lambda document: document["dataLayers"][0].update(elementClass="uint16"))
    edit(folder, lambda document: document["dataLayers"][0]["boundingBox"].update(width=20))
    source = WebKnossos.open(str(folder))
    assert "its elementClass is uint16; the voxels are uint8, which is served" in caplog.text
    assert "which has voxels at (0, 0, 0) to (4, 8, 8) only; the others are 0" in caplog.text
    box = source.scales[0].box
    np.testing.assert_array_equal(whole(source), padded_slice(voxels, box))


def test_chunks_of_arrays_are_given_as_stored(tmp_path: Path) -> None:
    voxels = random_volume((8, 16, 16), "uint8")
    for place, is_given in ((0, 0, 0), True), ((4, 8, 8), True), ((1, 0, 0), False):
        folder = write_arrays(tmp_path / f"{place}", {"1": voxels}, "zarr3", place=place)
        source = WebKnossos.open(str(folder))
        ways = source.stored_as(0)
        assert bool(ways) == is_given
        assert not ways or source.read_encoded(0, (0, 0, 0), ways[0])


def test_largest_segment_id_states_a_segmentation(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", random_volume((4, 8, 8), "uint8"))
    edit(folder, lambda d: d["dataLayers"][0].update(category=None, largestSegmentId=255))
    source = WebKnossos.open(str(folder))
    assert (source.kind, source.kind_source) == (
        "segmentation",
        "file: webKnossos largestSegmentId",
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a server of a folder."""
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_mags_may_be_behind_a_url(tmp_path: Path, url: str) -> None:
    mags = {"1": random_volume((4, 16, 16), "uint8"), "2": random_volume((2, 8, 8), "uint8")}
    write_arrays(tmp_path / "far", mags, "zarr3")
    folder = write_arrays(tmp_path / "near", mags, "zarr3")
    edit(
        folder,
        lambda d: [
            mag.update(path=f"{url}/far/color/{name}")
            for mag, name in zip(d["dataLayers"][0]["mags"], mags, strict=True)
        ],
    )
    shutil.rmtree(folder / "color")
    files = Files([str(folder), url])
    for path in (str(folder), f"{url}/far"):
        source = WebKnossos.open(path, files=files)
        for mip, voxels in enumerate(mags.values()):
            np.testing.assert_array_equal(whole(source, mip), voxels)
        assert source.state() is None
        assert source.changed() is None
    with pytest.raises(NotAllowed):
        WebKnossos.open(str(folder), files=Files([str(folder)]))
