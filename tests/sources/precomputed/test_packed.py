"""Precomputed whose chunks are files that CloudVolume, or another program, compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
from itertools import cycle
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tensorstore as ts
from cloudvolume import CloudVolume

from bfly.errors import Oversized, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.codecs.streams import unpacked
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.precomputed.packed import ENDINGS
from bfly.sources.precomputed.source import Precomputed
from bfly.testing.sources import SourceSuite
from bfly.testing.sources.base import touch
from bfly.testing.sources.storing import StoringTests
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK = {"compressed_segmentation_block_size": [8, 8, 8]}

KEY = "4_4_30"

PACK = {
    ".gz": gzip.compress,
    ".br": imagecodecs.brotli_encode,
    ".zstd": imagecodecs.zstd_encode,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def write(path: Path, volume: NDArray[Any], encoding: str = "raw", **scale: Any) -> Path:
    """Write a volume (z, y, x) in plain files."""
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {
            "type": "image" if volume.dtype.itemsize == 1 else "segmentation",
            **{"data_type": volume.dtype.name, "num_channels": 1},
        },
        "scale_metadata": {
            **{"size": volume.shape[::-1], "encoding": encoding, "chunk_size": [16, 16, 2]},
            **{"resolution": [4, 4, 30], "voxel_offset": [0, 0, 0], "key": KEY, **scale},
        },
    }
    made = ts.open(spec, create=True).result()
    made[ts.d["channel"][0]].write(volume.T).result()
    return path


def chunks(path: Path) -> list[Path]:
    return sorted((path / KEY).iterdir())


def pack(file: Path, ending: str) -> Path:
    made = file.with_name(file.name + ending)
    made.write_bytes(bytes(PACK[ending](file.read_bytes())))
    file.unlink()
    return made


def whole(path: Path, **words: Any) -> NDArray[Any]:
    source = Precomputed.open(str(path), **words)
    voxels: NDArray[Any] = source.read(0, source.scales[0].box)
    return voxels


class _Packed(SourceSuite):
    source = Precomputed
    dtypes = ("uint8", "uint64")
    ending: str

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        path = write(folder / "a", volume)
        for file in chunks(path):
            pack(file, self.ending)
        return path


class TestGzip(_Packed):
    ending = ".gz"
    given_as = frozenset({StoredAs("raw", "gzip")})


class TestBrotli(_Packed):
    ending = ".br"
    given_as = frozenset({StoredAs("raw", "br")})


class TestZstandard(_Packed):
    ending = ".zstd"
    given_as = frozenset({StoredAs("raw", "zstd")})


class TestMixed(_Packed):
    """Some programs write plain chunks into a volume whose others are compressed."""

    given_as = frozenset({StoredAs("raw", ""), StoredAs("raw", "gzip")})

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        path = write(folder / "a", volume)
        for file in chunks(path)[::2]:
            pack(file, ".gz")
        return path


class TestGzipOfLabels(StoringTests):
    """CloudVolume compresses compressed_segmentation once more."""

    source = Precomputed
    dtypes = ("uint32", "uint64")
    given_as = frozenset({StoredAs("compressed_segmentation", "gzip")})

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        path = write(folder / "a", volume, "compressed_segmentation", **BLOCK)
        for file in chunks(path):
            pack(file, ".gz")
        return path


@pytest.mark.parametrize("compress", ["gzip", "br", "zstd", False])
@pytest.mark.parametrize("dtype", ["uint8", "uint32"])
def test_as_cloudvolume_writes_it(tmp_path: Path, compress: Any, dtype: str) -> None:
    volume = random_volume((5, 40, 33), dtype)
    CloudVolume.from_numpy(
        volume.T, f"file://{tmp_path}/a", compress=compress, chunk_size=(16, 16, 2)
    )
    assert np.array_equal(whole(tmp_path / "a"), volume)


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_files_of_all_endings_beside_plain_ones(tmp_path: Path, encoding: str) -> None:
    """Of a volume that several programs wrote, whatever part is read."""
    volume = random_volume((9, 40, 33), "uint32")
    scale = {"voxel_offset": [0, 7, -3], **(BLOCK if encoding != "raw" else {})}
    path = write(tmp_path / "a", volume, encoding, **scale)
    for file, ending in zip(chunks(path), cycle(["", *ENDINGS]), strict=False):
        if ending:
            pack(file, ending)
    source = Precomputed.open(str(path))
    for box in (source.scales[0].box, BoundingBox((1, 3, 2), (6, 39, 30))):
        assert np.array_equal(source.read(0, box), volume[box.slices])
    archive = shutil.make_archive(str(tmp_path / "b"), "zip", path)
    assert np.array_equal(whole(archive), volume)  # type: ignore[arg-type]


def test_a_chunk_that_is_there_in_no_form_is_fill(tmp_path: Path) -> None:
    volume = random_volume((4, 32, 32), "uint8")
    path = write(tmp_path / "a", volume)
    first, second, *_ = chunks(path)
    first.unlink()
    pack(second, ".gz")
    found = whole(path)
    assert np.count_nonzero(found == 0) == 2 * 16 * 16
    assert np.array_equal(found[found != 0], volume[found != 0])


def test_a_plain_file_comes_before_a_packed_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in Neuroglancer and TensorStore; CloudVolume prefers the other, so the log says it."""
    volume = random_volume((2, 16, 16), "uint8")
    path = write(tmp_path / "a", volume)
    (file,) = chunks(path)
    file.with_name(file.name + ".gz").write_bytes(gzip.compress(bytes(512)))
    assert np.array_equal(whole(path), volume)
    assert f"{KEY}/{file.name}.gz is not read" in caplog.text


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_packed_file_that_changes_or_comes_is_noticed(tmp_path: Path, ending: str) -> None:
    volume = random_volume((2, 32, 16), "uint8")
    path = write(tmp_path / "a", volume)
    first, second = chunks(path)
    made = pack(first, ending)
    data = second.read_bytes()
    second.unlink()
    source = Precomputed.open(str(path))
    source.read(0, source.scales[0].box)
    assert source.changed() is None
    touch(made)
    assert source.changed() == str(made)
    source = Precomputed.open(str(path))
    assert (source.read(0, source.scales[0].box) == 0).any()
    second.write_bytes(data)
    pack(second, ending)
    assert source.changed() == f"{second}{ending}"
    assert np.array_equal(whole(path), volume)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("damage", ["short", "long", "other"])
def test_a_damaged_file_is_named(tmp_path: Path, ending: str, damage: str) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint8"))
    made = pack(chunks(path)[0], ending)
    if damage == "short":
        made.write_bytes(made.read_bytes()[:-9])
    if damage == "long":
        made.write_bytes(bytes(PACK[ending](bytes(900))))
    if damage == "other":
        made.write_bytes(b"nothing that is compressed")
    with pytest.raises(SourceError, match=rf"a: {KEY}/{made.name} "):
        whole(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint8"))
    made = pack(chunks(path)[0], ending)
    made.write_bytes(bytes(PACK[ending](bytes(64 << 20))))
    with pytest.raises(SourceError, match=rf"{KEY}/{made.name} "):
        whole(path)


def test_the_size_is_in_the_message() -> None:
    with pytest.raises(Oversized, match="x is 101 bytes long; at most 100"):
        unpacked(gzip.compress(bytes(1000)), "gzip", 100, "x")


@pytest.mark.parametrize("ending", [".lz4", ".zst", ".7z", ".jpg"])
def test_another_ending_is_named(tmp_path: Path, ending: str) -> None:
    """A chunk that is there but cannot be read is never fill."""
    path = write(tmp_path / "a", random_volume((2, 32, 16), "uint8"))
    file = chunks(path)[0]
    file.rename(file.with_name(file.name + ending))
    with pytest.raises(SourceError, match=rf"{KEY}/{file.name}{ending} is there"):
        Precomputed.open(str(path))
