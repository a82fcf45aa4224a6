"""A chunk is refused if its Blosc header states more bytes than its shape allows."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.n5.source import N5
from bfly.sources.zarr.source import Zarr
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = random_volume((6, 20, 30), "uint16")
CHUNK = (2, 8, 16)
BLOSC3 = {
    "name": "blosc",
    "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2},
}


def blosc2() -> dict[str, Any]:
    words = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}
    return {"driver": "zarr", "metadata": {"chunks": CHUNK, "compressor": words}}


def zarr3(*codecs: dict[str, Any], chunk: Any = CHUNK, **meta: Any) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    bytes_ = {"name": "bytes", "configuration": {"endian": "little"}}
    listed = codecs or (bytes_, BLOSC3)
    return {"driver": "zarr3", "metadata": {"chunk_grid": grid, "codecs": listed, **meta}}


def in_shards(where: str) -> dict[str, Any]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    inner = [{"name": "bytes", "configuration": {"endian": "little"}}, BLOSC3]
    options = {"chunk_shape": CHUNK, "codecs": inner, "index_codecs": index}
    options["index_location"] = where
    return zarr3({"name": "sharding_indexed", "configuration": options}, chunk=(4, 16, 32))


def n5() -> dict[str, Any]:
    words = {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}
    return {"driver": "n5", "metadata": {"blockSize": CHUNK, "compression": words}}


KINDS = {
    "zarr2": (blosc2, Zarr),
    "zarr3": (zarr3, Zarr),
    "crc32c": (
        lambda: zarr3(
            {"name": "bytes", "configuration": {"endian": "little"}}, BLOSC3, {"name": "crc32c"}
        ),
        Zarr,
    ),
    "index at the end": (lambda: in_shards("end"), Zarr),
    "index at the start": (lambda: in_shards("start"), Zarr),
    "n5": (n5, N5),
}


def write(path: Path, spec: dict[str, Any], voxels: np.ndarray = VOLUME) -> None:
    spec["metadata"] |= {}
    store = {**spec, "kvstore": {"driver": "file", "path": str(path)}}
    made = ts.open(store, create=True, dtype=voxels.dtype, shape=voxels.shape).result()
    made[...] = voxels


def damage(path: Path, number: int = -1) -> None:
    """State 2 GiB in a chunk: by default the last one with a Blosc header."""
    usual = struct.pack("<II", *2 * (2 * 8 * 16 * 2,))
    found = []
    for file in sorted(path.rglob("*")):
        data = file.read_bytes() if file.is_file() else b""
        at = data.find(usual)
        while at >= 0:
            found.append((file, at))
            at = data.find(usual, at + 1)
    file, at = found[number]
    data = bytearray(file.read_bytes())
    data[at : at + 4] = struct.pack("<I", (1 << 31) - 17)
    file.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_one_chunk_is_refused_and_others_are_read(kind: str, tmp_path: Path) -> None:
    make, source = KINDS[kind]
    path = tmp_path / "v"
    voxels = VOLUME if source is Zarr else np.asfortranarray(VOLUME.T)
    write(path, make() | ({} if source is Zarr else {"metadata": _turned(make())}), voxels)
    whole = BoundingBox.of_shape(VOLUME.shape)
    opened = source(str(path))
    np.testing.assert_array_equal(opened.read(0, whole), VOLUME)
    damage(path)
    opened = source(str(path))
    with pytest.raises(SourceError, match="states 2147483631 unpacked bytes"):
        opened.read(0, whole)
    first = BoundingBox.of_shape(CHUNK)
    np.testing.assert_array_equal(opened.read(0, first), VOLUME[first.slices])


def _turned(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec["metadata"], "blockSize": CHUNK[::-1]}


def test_axes_in_another_order_find_their_chunk_in_a_shard(tmp_path: Path) -> None:
    spec = in_shards("end")
    spec["metadata"]["dimension_names"] = ["x", "z", "y"]
    turned = np.ascontiguousarray(VOLUME.transpose(2, 0, 1))
    write(tmp_path / "v", spec, turned)
    # The chunk with the last x, z and y that is whole.
    damage(tmp_path / "v")
    opened = Zarr(str(tmp_path / "v"))
    refused = set()
    for z, y, x in np.ndindex(3, 10, 15):
        box = BoundingBox.of_shape((1, 1, 1), (z * 2, y * 2, x * 2))
        try:
            np.testing.assert_array_equal(opened.read(0, box), VOLUME[box.slices])
        except SourceError:
            refused.add((z * 2 // 8, y * 2 // 16, x * 2 // 2))
    assert len(refused) == 1


def test_the_header_of_an_entry_of_an_archive_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "v", blosc2())
    damage(tmp_path / "v")
    with zipfile.ZipFile(tmp_path / "v.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "v").iterdir():
            archive.write(file, file.name)
    opened = Zarr(str(tmp_path / "v.zip"))
    with pytest.raises(SourceError, match="states 2147483631"):
        opened.read(0, BoundingBox.of_shape(VOLUME.shape))


@pytest.mark.parametrize("codecs", [[BLOSC3, BLOSC3], [BLOSC3, {"name": "gzip"}]])
def test_a_header_that_is_packed_itself_is_not_read(codecs: Any, tmp_path: Path) -> None:
    bytes_ = {"name": "bytes", "configuration": {"endian": "little"}}
    write(tmp_path / "v", zarr3(bytes_, *codecs))
    with pytest.raises(SourceError, match="allowed is blosc once"):
        Zarr(str(tmp_path / "v"))
