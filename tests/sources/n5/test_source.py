"""N5 as TensorStore writes it, and real samples."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorstore as ts

from bfly.errors import NotAllowed
from bfly.geometry import ceil_div
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.n5.source import N5
from bfly.sources.shared import link_guard as guard
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.sources.storing import StoringTests
from bfly.testing.volumes import random_volume


def write_n5(path, volume, block=(16, 16, 2), compression="gzip", options=None, **attributes):
    """Write a volume (z, y, x) as N5 counts it, x first."""
    dtype = volume.dtype.name
    spec = {
        "driver": "n5",
        "kvstore": f"file://{path}/",
        "metadata": {
            **{"dimensions": volume.shape[::-1], "blockSize": block, "dataType": dtype},
            **{"compression": {"type": compression, **(options or {})}, **attributes},
        },
    }
    ts.open(spec, create=True).result().write(volume.T).result()
    return path


class TestGzip(SourceSuite):
    source = N5
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")
    given_as = frozenset({StoredAs("n5", ""), StoredAs("raw", "gzip")})

    def write(self, folder, volume):
        return write_n5(folder / "a", volume)


class TestZstd(SourceSuite):
    source = N5
    dtypes = ("uint8", "uint64")
    given_as = frozenset({StoredAs("zstd", ""), StoredAs("raw", "zstd")})

    def write(self, folder, volume):
        return write_n5(folder / "a", volume, compression="zstd")


class Packed(StoringTests):
    source = N5
    compression = "gzip"
    options: ClassVar[dict[str, Any]] = {}

    def write(self, folder, volume):
        return write_n5(folder / "a", volume, (16, 16, 2), self.compression, self.options)


class TestPlain(Packed):
    compression = "raw"
    given_as = frozenset({StoredAs("raw", "")})


class TestZlib(Packed):
    options: ClassVar[dict[str, Any]] = {"useZlib": True}
    given_as = frozenset({StoredAs("raw", "deflate")})


class TestBlosc(Packed):
    compression = "blosc"
    options: ClassVar[dict[str, Any]] = {"cname": "lz4", "clevel": 5, "shuffle": 2}
    given_as = frozenset({StoredAs("blosc", "")})


class TestWideGzip(Packed):
    """Voxels of more bytes than one are big-endian: no answer but a block."""

    dtypes = ("int64",)
    given_as = frozenset({StoredAs("n5", "")})


class TestWidePlain(Packed):
    compression = "raw"
    dtypes = ("uint16",)


def test_blocks_at_the_end_are_given_where_they_end_with_the_volume(tmp_path) -> None:
    """TensorStore stores them whole, the N5 of Java cut off."""
    volume = random_volume((2, 16, 40), "uint8")
    path = write_n5(tmp_path / "a", volume)
    source = N5.open(str(path))
    block = StoredAs("n5", "")
    assert block in source.stored_as(0)
    assert source.read_encoded(0, (0, 0, 1), block) is not None
    assert source.read_encoded(0, (0, 0, 2), block) is None
    header = struct.pack(">HHIII", 0, 3, 8, 16, 2)
    for mode, given in ((header, True), (b"\0\2" + header[2:], False)):
        data = mode + gzip.compress(volume[..., 32:].tobytes())
        (path / "2" / "0" / "0").write_bytes(data)
        got = N5.open(str(path)).read_encoded(0, (0, 0, 2), block)
        assert got == (data if given else None)


def test_a_block_with_other_axes_is_not_given(tmp_path) -> None:
    spec = {
        "driver": "n5",
        "kvstore": f"file://{tmp_path}/a/",
        "metadata": {
            **{"dimensions": [32, 32, 4, 1], "blockSize": [16, 16, 2, 1], "dataType": "uint8"},
            "compression": {"type": "gzip"},
        },
    }
    ts.open(spec, create=True).result().write(np.ones((32, 32, 4, 1), "u1")).result()
    source = N5.open(str(tmp_path / "a"))
    assert source.read(0, source.scales[0].box).all()
    assert source.stored_as(0) == ()


def test_a_folder_of_chunks_may_not_lie_elsewhere(tmp_path):
    path = write_n5(tmp_path / "allowed" / "a", random_volume((8, 40, 40), "uint8"))
    (path / "1").rename(tmp_path / "outside")
    (path / "1").symlink_to(tmp_path / "outside")
    source = N5.open(str(path), files=Files([str(tmp_path / "allowed")]))
    with pytest.raises(NotAllowed, match=r"a/1/\S+ is not in allowed-paths"):
        source.read(0, source.scales[0].box)


def test_names_that_lead_upwards_are_refused_where_they_lead_out(tmp_path, monkeypatch):
    """Whatever the metadata of a format call an array."""
    # TensorStore reads from the first time on, though the folders are new.
    monkeypatch.setattr(guard, "TICK", 0)
    for place in ("allowed/a", "allowed/b", "outside/c"):
        write_n5(tmp_path / place, random_volume((8, 40, 40), "uint8"))
    allowed = tmp_path / "allowed"
    source = N5.open(str(allowed / "a"), files=Files([str(allowed)]))
    array = source._described[0]
    box = source.scales[0].box

    def named(name):
        source._described[0] = replace(array, names=lambda _: [f"{name}/0/0/0"])
        return source.read(0, box)

    assert named("../b").any()
    for name in ("../../outside/c", "../b/../../outside/c", "0/../../../outside/c"):
        with pytest.raises(NotAllowed, match="not in allowed-paths"):
            named(name)


def levels(volume):
    return [volume, volume[:, ::2, ::2], volume[::2, ::4, ::4]]


FACTORS = [[1, 1, 1], [2, 2, 1], [4, 4, 2]]


def size(scale):
    return [4.0 * scale[0], 4.0 * scale[1], 30.0 * scale[2]]


DIALECTS = {
    "n5-viewer": lambda n: {"pixelResolution": {"dimensions": size(FACTORS[n]), "unit": "nm"}},
    "bigdataviewer": lambda n: {"downsamplingFactors": FACTORS[n], "resolution": size([1, 1, 1])},
    "cosem": lambda n: {
        "transform": {
            **{"axes": ["z", "y", "x"], "units": ["nm"] * 3, "scale": size(FACTORS[n])[::-1]},
            "translate": [
                (f - 1) / 2 * s for f, s in zip(FACTORS[n][::-1], (30, 4, 4), strict=True)
            ],
        }
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_scales(tmp_path, dialect) -> None:
    volume = random_volume((8, 40, 48), "uint16")
    for number, level in enumerate(levels(volume)):
        write_n5(tmp_path / f"s{number}", np.ascontiguousarray(level), **DIALECTS[dialect](number))
    assert N5.guess_can_open(str(tmp_path))
    source = N5.open(str(tmp_path))
    assert source.voxel_size == (30, 4, 4)
    assert source.voxel_size_source.startswith("file: attribute ")
    assert [scale.factor for scale in source.scales.values()] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    for mip, level in enumerate(levels(volume)):
        assert source.scales[mip].origin == (0, 0, 0)
        assert np.array_equal(source.read(mip, source.scales[mip].box), level)


@pytest.mark.parametrize(
    "group",
    [
        {"downsamplingFactors": FACTORS, "resolution": [4, 4, 30]},
        {"scales": FACTORS, "pixelResolution": {"dimensions": [0.004, 0.004, 0.03], "unit": "um"}},
        {"multiScale": True, "units": ["nm"] * 3, "resolution": [4, 4, 30]},
    ],
)
def test_scales_that_the_group_describes(tmp_path, group) -> None:
    volume = random_volume((8, 41, 48), "uint8")
    (tmp_path / "attributes.json").write_text(json.dumps({"n5": "2.5.0", **group}))
    for number, level in enumerate(levels(volume)):
        write_n5(tmp_path / f"s{number}", np.ascontiguousarray(level))
    source = N5.open(str(tmp_path))
    assert source.voxel_size == pytest.approx((30, 4, 4))
    assert [scale.factor for scale in source.scales.values()] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    assert source.scales[2].shape == (4, ceil_div(41, 4), 12)


@pytest.mark.parametrize("in_group", [True, False])
def test_scales_of_channels(tmp_path, in_group) -> None:
    """Factors and sizes are by axis, wherever the names of the axes are stated."""
    volumes = random_volume((2, 8, 40, 48), "uint16")
    stated = {"axes": ["x", "c", "y", "z"]}
    group = {"downsamplingFactors": [[1, 1, 1, 1], [2, 1, 2, 1]], "resolution": [4, 1, 5, 30]}
    group |= {"units": ["nm", "", "nm", "nm"], **(stated if in_group else {})}
    (tmp_path / "attributes.json").write_text(json.dumps(group))
    for number, step in enumerate((1, 2)):
        level = volumes[:, :, ::step, ::step].transpose(1, 2, 0, 3)
        names = {} if in_group else stated
        write_n5(tmp_path / f"s{number}", np.ascontiguousarray(level), (16, 1, 16, 2), **names)
    assert [str(part) for part in N5.parts(str(tmp_path), Files())] == ["", "c=1"]
    source = N5.open(str(tmp_path), part=Part.parse("c=1"))
    assert source.voxel_size == (30, 5, 4)
    assert [scale.factor for scale in source.scales.values()] == [(1, 1, 1), (1, 2, 2)]
    for mip, step in enumerate((1, 2)):
        got = source.read(mip, source.scales[mip].box)
        assert np.array_equal(got, volumes[1, :, ::step, ::step])


def samples(data):
    return sorted(info.parent for info in data.rglob("attributes.json"))


@pytest.mark.parametrize("folder", ["n5", "neuroglancer"])
def test_real_samples(data, folder) -> None:
    found = 0
    for path in samples(data / "formats" / folder):
        if N5.guess_can_open(str(path)):
            array = path / "s0" if (path / "s0").exists() else path
            truth = ts.open({"driver": "n5", "kvstore": f"file://{array}/"}).result()
            source = N5.open(str(path))
            got = source.read(0, source.scales[0].box).view(truth.dtype.numpy_dtype)
            assert np.array_equal(np.squeeze(got), np.squeeze(truth.read().result().T))
            found += 1
    assert found > 2
