"""Neuroglancer precomputed as CloudVolume and TensorStore write it, and real samples."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorstore as ts
from cloudvolume import CloudVolume

from bfly.errors import SourceError
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.precomputed.source import Precomputed
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

BLOCK = {"compressed_segmentation_block_size": [8, 8, 8]}
SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    **{"preshift_bits": 1, "minishard_bits": 1, "shard_bits": 2, "hash": "identity"},
    **{"minishard_index_encoding": "gzip", "data_encoding": "gzip"},
}


def write_tensorstore(path, volume, encoding, offset=(0, 0, 0), **scale):
    """Write a volume (z, y, x)."""
    kind = "image" if volume.dtype.kind == "f" or volume.dtype.itemsize == 1 else "segmentation"
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {
            **{"type": kind, "data_type": volume.dtype.name, "num_channels": 1}
        },
        "scale_metadata": {
            **{"size": volume.shape[::-1], "encoding": encoding, "chunk_size": [16, 16, 2]},
            **{"resolution": [4, 4, 30], "voxel_offset": offset[::-1], **scale},
        },
    }
    made = ts.open(spec, create=True).result()
    made[ts.d["channel"][0]].write(volume.T).result()
    return path


class TestRawOfCloudVolume(SourceSuite):
    source = Precomputed
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "float32")
    given_as = frozenset({StoredAs("raw", "")})

    def write(self, folder, volume):
        kind = "image" if volume.dtype.kind == "f" or volume.dtype.itemsize == 1 else "segmentation"
        info = CloudVolume.create_new_info(
            **{"num_channels": 1, "layer_type": kind, "data_type": volume.dtype.name},
            **{"encoding": "raw", "resolution": [4, 4, 30], "voxel_offset": [0, 0, 0]},
            **{"chunk_size": [16, 16, 2], "volume_size": volume.shape[::-1]},
        )
        path = folder / "a"
        made = CloudVolume(
            f"file://{path}", info=info, compress=False, progress=False, non_aligned_writes=True
        )
        made.commit_info()
        made[:] = volume.T[..., np.newaxis]
        return path


class TestSharded(SourceSuite):
    source = Precomputed
    dtypes = ("uint8", "uint64")

    def write(self, folder, volume):
        return write_tensorstore(folder / "a", volume, "raw", sharding=SHARDING)


class TestCompressedSegmentation(SourceSuite):
    source = Precomputed
    dtypes = ("uint32", "uint64")
    given_as = frozenset({StoredAs("compressed_segmentation", "")})

    def write(self, folder, volume):
        return write_tensorstore(folder / "a", volume, "compressed_segmentation", **BLOCK)


class TestPng(SourceSuite):
    source = Precomputed
    dtypes = ("uint8", "uint16")
    given_as = frozenset({StoredAs("png", "")})

    def write(self, folder, volume):
        return write_tensorstore(folder / "a", volume, "png")


def test_jpeg(tmp_path) -> None:
    z, y, x = np.indices((4, 30, 40))
    volume = (2 * (x + y) + z).astype("u1")
    source = Precomputed.open(str(write_tensorstore(tmp_path / "a", volume, "jpeg")))
    found = source.read(0, source.scales[0].box)
    assert np.abs(found.astype(int) - volume).max() < 10


def test_what_the_info_says(tmp_path) -> None:
    volume = random_volume((8, 40, 48), "uint8")
    path = write_tensorstore(tmp_path / "a", volume, "raw", (7, -5, 100))
    coarse = np.ascontiguousarray(volume[::2, ::4, ::4])
    write_tensorstore(path, coarse, "raw", (3, -2, 25), resolution=[16, 16, 60])
    source = Precomputed.open(str(path))
    assert (source.kind, source.voxel_size) == ("image", (30, 4, 4))
    assert source.voxel_size_source == "file: info resolution"
    assert {mip: scale.origin for mip, scale in source.scales.items()} == {
        0: (7, -5, 100),
        2: (3, -2, 25),
    }
    assert source.scales[2].factor == (2, 4, 4)
    for mip, level in ((0, volume), (2, coarse)):
        assert np.array_equal(source.read(mip, source.scales[mip].box), level)


def test_the_type_is_the_kind(tmp_path) -> None:
    path = write_tensorstore(tmp_path / "a", random_volume((2, 4, 4), "uint8"), "raw")
    info = json.loads((path / "info").read_text())
    (path / "info").write_text(json.dumps({**info, "type": "segmentation"}))
    assert Precomputed.open(str(path)).kind == "segmentation"


def test_a_chunk_that_is_not_there_is_0(tmp_path) -> None:
    path = write_tensorstore(tmp_path / "a", random_volume((2, 4, 40), "uint8"), "raw")
    chunk = next((path / "4_4_30").glob("0-16*"))
    chunk.unlink()
    voxels = Precomputed.open(str(path))
    found = voxels.read(0, voxels.scales[0].box)
    assert not found[..., :16].any()
    assert found[..., 16:].all()


def test_files_that_cloudvolume_packed_are_no_zeros(tmp_path) -> None:
    volume = random_volume((4, 20, 20), "uint8")
    CloudVolume.from_numpy(
        volume.T, f"file://{tmp_path}/a", resolution=(4, 4, 30), chunk_size=(16, 16, 2)
    )
    with pytest.raises(SourceError, match="packed once more"):
        Precomputed.open(str(tmp_path / "a"))


def test_real_samples(data) -> None:
    found = 0
    for info in (data / "formats" / "neuroglancer").rglob("info"):
        path = info.parent
        if not Precomputed.guess_can_open(str(path)):
            continue
        if json.loads(info.read_text())["num_channels"] > 1:
            with pytest.raises(SourceError, match="2 channels; allowed is one"):
                Precomputed.open(str(path))
            continue
        spec = {"driver": "neuroglancer_precomputed", "kvstore": f"file://{path}/"}
        truth = ts.open(spec).result()[ts.d["channel"][0]].read().result().T
        source = Precomputed.open(str(path))
        got = source.read(0, source.scales[0].box)
        assert np.array_equal(got.view(truth.dtype), truth)
        found += 1
    assert found
