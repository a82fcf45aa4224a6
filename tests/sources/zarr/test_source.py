"""Zarr as zarr-python, ome-zarr and TensorStore write it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.zarr.source import Zarr
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

ALL = (
    "uint8",
    "uint16",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)

ZSTD = frozenset({StoredAs("zstd", ""), StoredAs("raw", "zstd")})


def array(path, volume, *, zarr_format, **options):
    made = zarr.create_array(
        str(path), shape=volume.shape, dtype=volume.dtype, zarr_format=zarr_format, **options
    )
    made[...] = volume
    return path


class TestZarr2(SourceSuite):
    source = Zarr
    dtypes = ALL
    given_as = ZSTD

    def write(self, folder, volume):
        return array(folder / "a.zarr", volume, zarr_format=2, chunks=(2, 16, 16))


class TestZarr3(SourceSuite):
    source = Zarr
    dtypes = ALL
    given_as = ZSTD

    def write(self, folder, volume):
        return array(folder / "a.zarr", volume, zarr_format=3, chunks=(2, 16, 16))


class TestSharded(SourceSuite):
    source = Zarr
    dtypes = ("uint8", "uint64")
    given_as = ZSTD

    def write(self, folder, volume):
        return array(folder / "a.zarr", volume, zarr_format=3, chunks=(2, 8, 8), shards=(4, 32, 32))


@pytest.mark.parametrize(("zarr_format", "version"), [(2, "0.4"), (3, "0.5")])
class TestOmeZarr:
    def write(self, path, volume, zarr_format, version, axes="zyx", **words):
        levels = [volume, volume[:, ::2, ::2], volume[::2, ::8, ::8]]
        factors = [(1, 1, 1), (1, 2, 2), (2, 8, 8)]
        group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
        datasets = []
        for number, (level, factor) in enumerate(zip(levels, factors, strict=True)):
            at = {"z": 0.03, "y": 0.004, "x": 0.0041}
            place = dict(zip("zyx", factor, strict=True))
            index = tuple(
                slice(None) if name in "zyx" else None for name in sorted(axes, key="tczyx".index)
            )
            made = np.transpose(
                level[index], [sorted(axes, key="tczyx".index).index(a) for a in axes]
            )
            group.create_array(
                str(number), data=np.ascontiguousarray(made), chunks=(8,) * len(axes)
            )
            scale = [at.get(a, 1.0) * place.get(a, 1) for a in axes]
            moved = [3 * at.get(a, 0) + (place.get(a, 1) - 1) / 2 * at.get(a, 0) for a in axes]
            steps = [
                {"type": "scale", "scale": scale},
                {"type": "translation", "translation": moved},
            ]
            datasets.append({"path": str(number), "coordinateTransformations": steps})
        described = [
            {"name": a, "type": "space", "unit": "micrometer"} if a in "zyx" else {"name": a}
            for a in axes
        ]
        multiscales = [{"axes": described, "datasets": datasets, "version": version}]
        attributes = {"multiscales": multiscales, **words}
        group.attrs.update(attributes if zarr_format == 2 else {"ome": attributes})
        return levels

    @pytest.mark.parametrize("axes", ["zyx", "tczyx", "czyx", "xyz"])
    def test_mips_place_and_size(self, tmp_path, zarr_format, version, axes) -> None:
        volume = random_volume((7, 40, 50), "uint16")
        path = tmp_path / "a.ome.zarr"
        levels = self.write(path, volume, zarr_format, version, axes)
        assert Zarr.guess_can_open(str(path))
        source = Zarr.open(str(path))
        assert source.scales.keys() == {0, 1, 3}
        assert source.scales[3].factor == (2, 8, 8)
        assert source.voxel_size == pytest.approx((30, 4, 4.1))
        assert source.voxel_size_source == "file: OME-Zarr axes and scale"
        assert [scale.origin for scale in source.scales.values()] == [
            (3, 3, 3),
            (3, 1, 1),
            (1, 0, 0),
        ]
        for mip, level in zip(source.scales, levels, strict=True):
            assert np.array_equal(source.read(mip, source.scales[mip].box), level)

    def test_labels(self, tmp_path, zarr_format, version) -> None:
        words = {"image-label": {"version": version}}
        path = tmp_path / "a.zarr"
        self.write(path, random_volume((7, 40, 50), "uint8"), zarr_format, version, **words)
        assert Zarr.open(str(path)).kind == "segmentation"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_that_is_not_there_is_fill(tmp_path, zarr_format) -> None:
    path = tmp_path / "a.zarr"
    made = zarr.create_array(
        str(path),
        shape=(4, 8, 8),
        chunks=(4, 8, 4),
        dtype="u2",
        zarr_format=zarr_format,
        fill_value=7,
    )
    made[:, :, :4] = 1
    voxels = Zarr.open(str(path)).read(0, BoundingBox((0, 0, 0), (4, 8, 9)))
    assert (voxels[..., :4] == 1).all()
    assert (voxels[..., 4:8] == 7).all()
    assert (voxels[..., 8] == 0).all()


@pytest.mark.parametrize(
    ("dtype", "served"), [(">i2", "i2"), (">u4", "u4"), (">i8", "i8"), ("?", "u1")]
)
def test_signed_and_big_endian(tmp_path, dtype, served) -> None:
    volume = np.arange(-30, 30).reshape(3, 4, 5).astype(dtype)
    path = array(tmp_path / "a", volume, zarr_format=2, chunks=(2, 2, 2), order="F")
    source = Zarr.open(str(path))
    assert source.dtype == served
    expected = volume.astype(volume.dtype.newbyteorder("<")).view(served)
    assert np.array_equal(source.read(0, source.scales[0].box), expected)


def test_transposed_codec(tmp_path) -> None:
    volume = random_volume((3, 4, 5), "uint16")
    codecs = [
        {"name": "transpose", "configuration": {"order": [2, 0, 1]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "shuffle"}},
    ]
    spec = {
        "driver": "zarr3",
        "kvstore": f"file://{tmp_path}/a/",
        "metadata": {
            **{"shape": volume.shape, "data_type": "uint16", "codecs": codecs},
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}},
            "dimension_names": ["z", "y", "x"],
            "attributes": {"resolution": [40, 4, 4]},
        },
    }
    ts.open(spec, create=True).result().write(volume).result()
    source = Zarr.open(str(tmp_path / "a"))
    assert np.array_equal(source.read(0, source.scales[0].box), volume)
    assert source.voxel_size == (40, 4, 4)


def test_time_and_channels_are_refused(tmp_path) -> None:
    path = array(tmp_path / "a", np.ones((2, 3, 4, 5), "u1"), zarr_format=3, chunks=(1, 3, 4, 5))
    with pytest.raises(SourceError, match="2 x 3 x 4 x 5"):
        Zarr.open(str(path))


def test_in_a_zip_archive(tmp_path) -> None:
    volume = random_volume((5, 20, 30), "uint8")
    array(tmp_path / "a", volume, zarr_format=3, chunks=(2, 16, 16))
    path = shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "a")
    assert Zarr.guess_can_open(path)
    source = Zarr.open(path)
    assert np.array_equal(source.read(0, source.scales[0].box), volume)


def test_a_group_of_other_things_is_none(tmp_path) -> None:
    zarr.open_group(str(tmp_path / "a"), mode="w", zarr_format=3)
    zarr.open_group(str(tmp_path / "b"), mode="w", zarr_format=2)
    assert not Zarr.guess_can_open(str(tmp_path / "a"))
    assert not Zarr.guess_can_open(str(tmp_path / "b"))


def test_damaged_metadata_are_named(tmp_path) -> None:
    path = array(tmp_path / "a", np.ones((2, 3, 4), "u1"), zarr_format=3, chunks=(2, 3, 4))
    meta = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps({**meta, "chunk_grid": 5}))
    with pytest.raises(SourceError, match="damaged metadata"):
        Zarr.open(str(path))


def test_real_samples(data) -> None:
    """Every array that can be served equals what zarr-python reads."""
    found = 0
    folder = data / "formats" / "neuroglancer" / "datasource" / "zarr"
    for meta in sorted({*folder.rglob("zarr.json"), *folder.rglob(".zarray")}):
        path = meta.parent
        try:
            truth = zarr.open_array(str(path), mode="r")[...]
        except Exception:  # a group, or what zarr-python does not know
            continue
        served = truth.dtype.kind in "iub" or truth.dtype == np.float32
        if np.squeeze(truth).ndim in (2, 3) and truth.ndim > 1:
            if not served:
                with pytest.raises(SourceError):
                    voxels(path)
                continue
            got = voxels(path)
            assert np.array_equal(np.squeeze(got).view(truth.dtype), np.squeeze(truth)), path
            found += 1
    assert found > 2


def voxels(path):
    source = Zarr.open(str(path))
    return source.read(0, source.scales[0].box)
