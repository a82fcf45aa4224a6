"""N5 blocks that TensorStore does not decode, and attributes that it refuses."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.sources.n5.source import N5
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from tests.fixtures.lz4_java import lz4_java

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOLUME = random_volume((5, 40, 33), "uint16")

BLOCK = (16, 16, 2)

PACK: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "lz4": lz4_java,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": imagecodecs.zstd_encode,
    "blosc": lambda data: imagecodecs.blosc_encode(data, typesize=2),
}


def write(path: Path, volume: Any, pack: str = "lz4", mode: int = 0, **attributes: Any) -> Path:
    """Write a volume (z, y, x) as the specification says: blocks with a header, edges cut off."""
    path.mkdir()
    kind = {"type": "gzip", "useZlib": True} if pack == "zlib" else {"type": pack}
    stated = {
        **{"dimensions": volume.shape[::-1], "blockSize": BLOCK, "compression": kind},
        **{"dataType": volume.dtype.name, **attributes},
    }
    (path / "attributes.json").write_text(
        json.dumps({key: value for key, value in stated.items() if value is not None})
    )
    counts = [math.ceil(n / b) for n, b in zip(volume.shape[::-1], BLOCK, strict=True)]
    for x, y, z in np.ndindex(*counts):
        first = [i * b for i, b in zip((z, y, x), BLOCK[::-1], strict=True)]
        part = volume[tuple(slice(a, a + b) for a, b in zip(first, BLOCK[::-1], strict=True))]
        file = path / str(x) / str(y) / str(z)
        file.parent.mkdir(parents=True, exist_ok=True)
        big = part.astype(part.dtype.newbyteorder(">")).tobytes()
        file.write_bytes(header(mode, part.shape[::-1]) + bytes(PACK[pack](big)))
    return path


def header(mode: int, sides: tuple[int, ...], count: int | None = None) -> bytes:
    elements = [math.prod(sides) if count is None else count] if mode else []
    numbers = [*sides, *elements]
    return struct.pack(f">HH{len(numbers)}I", mode, len(sides), *numbers)


def read(path: Path) -> Any:
    source = N5.open(str(path), kind="image")
    return source.read(0, source.scales[0].box)


class TestLz4(SourceSuite):
    source = N5
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32")

    def write(self, folder, volume):
        return write(folder / "a", volume)


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("mode", [0, 1])
def test_blocks_of_both_modes_are_read(tmp_path, pack, mode) -> None:
    assert np.array_equal(read(write(tmp_path / "a", VOLUME, pack, mode)), VOLUME)


@pytest.mark.parametrize("pack", ["raw", "lz4"])
def test_modes_may_be_mixed(tmp_path, pack) -> None:
    path = write(tmp_path / "a", VOLUME, pack)
    others = write(tmp_path / "b", VOLUME, pack, 1)
    for name in ("0/0/0", "1/2/1"):
        (path / name).write_bytes((others / name).read_bytes())
    assert np.array_equal(read(path), VOLUME)


def test_a_missing_block_is_blank(tmp_path) -> None:
    path = write(tmp_path / "a", VOLUME)
    (path / "0/0/0").unlink()
    voxels = read(path)
    assert not voxels[:2, :16, :16].any()
    assert np.array_equal(voxels[2:], VOLUME[2:])


WRONG = {
    "mode": (header(2, (16, 16, 2))[:4], "mode 2; allowed are 0 and 1"),
    "short": (b"\0\0\0\3", "damaged"),
    "empty": (b"", "damaged"),
    "axes": (header(0, (16, 16)), "header of 2 axes"),
    "elements": (header(1, (16, 16, 2), 511), "511 elements for 512 voxels"),
    "small": (header(0, (15, 16, 2)), "shape 15x16x2; allowed are 16x16x2"),
    "large": (header(0, (17, 16, 2)), "shape 17x16x2; allowed are"),
    "huge": (header(0, (2**32 - 1,) * 3), "allowed are"),
    "content": (header(0, (16, 16, 2)), "0 bytes where 1024 belong"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_damaged_block_is_an_error(tmp_path, name) -> None:
    data, reason = WRONG[name]
    path = write(tmp_path / "a", VOLUME)
    (path / "0/0/0").write_bytes(data)
    with pytest.raises(SourceError, match=reason) as error:
        read(path)
    assert "0/0/0" in str(error.value)


@pytest.mark.parametrize("pack", PACK)
def test_a_cut_block_is_an_error(tmp_path, pack) -> None:
    path = write(tmp_path / "a", VOLUME, pack, 1)
    file = path / "0/0/0"
    # The last block of lz4-java is empty, and not needed.
    file.write_bytes(file.read_bytes()[: -22 if pack == "lz4" else -1])
    with pytest.raises(SourceError, match="0/0/0"):
        read(path)


@pytest.mark.parametrize("pack", PACK)
def test_a_block_does_not_unpack_to_more_than_its_shape(tmp_path, pack) -> None:
    path = write(tmp_path / "a", VOLUME, pack, 1)
    bomb = bytes(PACK[pack](bytes(64 << 20)))
    (path / "0/0/0").write_bytes(header(1, (16, 16, 2)) + bomb)
    with pytest.raises(SourceError, match="0/0/0"):
        read(path)


ATTRIBUTES: dict[str, Any] = {
    "blosc of Java": (
        "blosc",
        {"cname": "lz4", "clevel": 6, "shuffle": 1, "blocksize": 0, "typesize": 2, "nthreads": 1},
    ),
    "blosc alone": ("blosc", {}),
    "gzip": ("gzip", {"level": -1, "useZlib": False}),
    "xz": ("xz", {"preset": -1}),
    "zstd": ("zstd", {"level": 3, "nbWorkers": 0}),
    "lz4": ("lz4", {"blockSize": 65536}),
    "bzip2": ("bzip2", {"blockSize": 0}),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_options_of_an_encoder_do_not_matter(tmp_path, name) -> None:
    pack, options = ATTRIBUTES[name]
    path = write(tmp_path / "a", VOLUME, pack, compression={"type": pack, **options})
    assert np.array_equal(read(path), VOLUME)


@pytest.mark.parametrize("pack", ["raw", "gzip", "bzip2", "xz", "lz4"])
def test_the_compression_of_old_n5_is_a_name(tmp_path, pack) -> None:
    path = write(tmp_path / "a", VOLUME, pack, compression=None, compressionType=pack)
    assert np.array_equal(read(path), VOLUME)


@pytest.mark.parametrize(
    "attributes",
    [{"axes": ["x", "y", "z"], "units": [None] * 3}, {"resolution": "4"}, {"units": ["nm"]}],
)
def test_what_only_describes_does_not_matter(tmp_path, attributes) -> None:
    assert np.array_equal(read(write(tmp_path / "a", VOLUME, **attributes)), VOLUME)


@pytest.mark.parametrize(
    ("compression", "reason"),
    [
        ({"type": "jpeg"}, "allowed are the types blosc, bzip2, gzip, lz4, raw, xz, zstd"),
        ({"type": "gzip", "x": 1}, "unknown option 'x'"),
        ("gzip", "'gzip'"),
        (None, "None"),
    ],
)
def test_an_unknown_compression_is_refused(tmp_path, compression, reason) -> None:
    path = write(tmp_path / "a", VOLUME, compression=compression)
    with pytest.raises(SourceError, match=reason):
        read(path)
