"""Small files that say, or unpack to, something enormous; each is written by a function."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin
import numpy as np
import samples
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["BOMBS"]

HUGE, SIDE = 1 << 62, 1 << 20

GIB = 1 << 30


PIECE = 1 << 24


@cache
def zeros(size: int) -> bytes:
    """Return so many zeros as a stream of zlib."""
    packer = zlib.compressobj()
    return b"".join(packer.compress(bytes(PIECE)) for _ in range(size >> 24)) + packer.flush()


def endless(start: bytes, end: bytes) -> bytes:
    """Return 4 GiB of zeros in Deflate: after a full flush a piece may be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + piece * (4 * GIB // PIECE) + b"\x03\0" + end


GZIPPED = endless(b"\x1f\x8b\x08\0\0\0\0\0\0\x03", bytes(8))
DEFLATED = endless(b"\x78\x9c", bytes(4))


def sparse(path: Path, data: bytes = b"", size: int = 3 * GIB) -> Path:
    """Write a file of a size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.truncate(size)
    return path


def png(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg(width: int, height: int, frame: int = 0xC0) -> bytes:
    data = bytearray(samples.image(samples.VOLUME[0], "jpg"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">BxxxHH", data, at + 1, frame, height, width)
    data[at + 2 : at + 5] = b"\x00\x0b\x08"
    return bytes(data)


def tiff(**tags: int) -> bytes:
    """Return a TIFF with other values in tags of 32 bits, by tifffile's names."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples.VOLUME[0], compression="zlib", rowsperstrip=16)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        for name, value in tags.items():
            at = opened.pages[0].tags[name].offset
            struct.pack_into("<HII", data, at + 2, 4, 1, value)
    return bytes(data)


def stack(end: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "stack").mkdir()
        for z in range(4):
            (folder / "stack" / f"s{z}.{end}").write_bytes(data())
        return folder / "stack"

    return write


def alone(name: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data())
        return folder / name

    return write


def long(name: str, data: bytes = b"", size: int = 3 * GIB) -> Callable[[Path], Path]:
    return lambda folder: sparse(folder / name, data, size)


def long_in(name: str, data: bytes = b"") -> Callable[[Path], Path]:
    """Write a document of 3 GiB into a folder that is a channel."""

    def write(folder: Path) -> Path:
        (folder / "volume").mkdir()
        sparse(folder / "volume" / name, data)
        return folder / "volume"

    return write


def zarr2(chunk: bytes | None = None, size: int = 0, **meta: Any) -> Callable[[Path], Path]:
    """Write a zarr 2 array with a stored chunk, or none."""

    def write(folder: Path) -> Path:
        path = folder / "v.zarr"
        path.mkdir()
        document = {"zarr_format": 2, "shape": [64] * 3, "chunks": [64] * 3, "dtype": "|u1"}
        document |= {"compressor": None, "fill_value": 7, "order": "C", "filters": None, **meta}
        (path / ".zarray").write_text(json.dumps(document))
        if chunk is not None:
            sparse(path / "0.0.0", chunk, max(size, len(chunk)))
        return path

    return write


def zarr3(chunk: bytes | None = None, size: int = 0, **meta: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "v.zarr"
        (path / "c/0/0").mkdir(parents=True)
        document = {"zarr_format": 3, "node_type": "array", "shape": [64] * 3, "data_type": "uint8"}
        document |= {"chunk_key_encoding": {"name": "default"}, "fill_value": 7}
        document |= {"codecs": [{"name": "bytes"}], **grid([64] * 3), **meta}
        (path / "zarr.json").write_text(json.dumps(document))
        if chunk is not None:
            sparse(path / "c/0/0/0", chunk, max(size, len(chunk)))
        return path

    return write


def grid(chunk: list[int]) -> dict[str, Any]:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}}}


def blosc3() -> dict[str, Any]:
    words = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 1, "blocksize": 0}
    return {"name": "blosc", "configuration": words}


def shards(shard: list[int], chunk: list[int], *packed: dict[str, Any]) -> dict[str, Any]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}]
    inner = [{"name": "bytes"}, *(packed or [{"name": "gzip"}])]
    if packed[:1] and packed[0]["name"] == "sharding_indexed":
        inner = list(packed)
    options = {"chunk_shape": chunk, "codecs": inner, "index_codecs": index}
    return {**grid(shard), "codecs": [{"name": "sharding_indexed", "configuration": options}]}


def n5(block: bytes | None = None, **meta: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "v.n5"
        (path / "0/0").mkdir(parents=True)
        document = {"dimensions": [64] * 3, "blockSize": [64] * 3, "dataType": "uint8"}
        document |= {"compression": {"type": "gzip"}, **meta}
        (path / "attributes.json").write_text(json.dumps(document))
        if block is not None:
            (path / "0/0/0").write_bytes(block)
        return path

    return write


def block(side: int, data: bytes) -> bytes:
    return struct.pack(">HHIII", 0, 3, side, side, side) + data


def pre(
    chunk: bytes | None = None,
    name: str = "0-64_0-64_0-64",
    size: int = 0,
    dtype: str = "uint8",
    **scale: Any,
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "pre"
        (path / "k").mkdir(parents=True)
        described = {"key": "k", "size": [64] * 3, "resolution": [4, 4, 30], "encoding": "raw"}
        described |= {"voxel_offset": [0] * 3, "chunk_sizes": [[64] * 3], **scale}
        info = {"type": "image", "data_type": dtype, "num_channels": 1, "scales": [described]}
        (path / "info").write_text(json.dumps(info))
        if chunk is not None:
            sparse(path / "k" / name, chunk, max(size, len(chunk)))
        return path

    return write


def sharding(packed: str = "gzip", **bits: int) -> dict[str, Any]:
    usual = {"preshift_bits": 0, "minishard_bits": 0, "shard_bits": 0}
    encodings = {"minishard_index_encoding": packed, "data_encoding": "gzip"}
    kind = {"@type": "neuroglancer_uint64_sharded_v1", "hash": "identity"}
    return {"sharding": {**kind, **usual, **encodings, **bits}}


def shard_of(index: bytes, data: bytes = b"") -> bytes:
    """Return a shard with one minishard: its index is behind the data."""
    return struct.pack("<QQ", len(data), len(data) + len(index)) + data + index


def hdf5(how: dict[str, Any] | None = None, **options: Any) -> Callable[[Path], Path]:
    """Write a dataset of which nothing is stored."""

    def write(folder: Path) -> Path:
        path = folder / "v.h5"
        with h5py.File(path, "w", **(how or {})) as file:
            file.create_dataset("main", **{"shape": (64,) * 3, "dtype": "u1", **options})
        return path

    return write


def packed_hdf5(data: bytes, block: int = 0, **options: Any) -> Callable[[Path], Path]:
    """Write a dataset; its first chunk is stored as given."""

    def write(folder: Path) -> Path:
        path = folder / "v.h5"
        with h5py.File(path, "w", **({"userblock_size": block} if block else {})) as file:
            shape = {"shape": (64,) * 3, "dtype": "u1", "chunks": (64,) * 3}
            made = file.create_dataset("main", **{**shape, **options})
            made.id.write_direct_chunk((0, 0, 0), data)
        return path

    return write


def mojo(tile: bytes | None = None, end: str = "png", **words: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = samples.write_mojo(folder / "mojo", "png")
        usual = {"numTilesW": 1, "numBytesPerVoxel": 1, "fileExtension": end}
        for axis in "ZYX":
            usual |= {f"numVoxels{axis}": 4, f"numVoxelsPerTile{axis}": 1 if axis == "Z" else 40}
        text = " ".join(f'{name}="{value}"' for name, value in {**usual, **words}.items())
        (path / "tiledVolumeDescription.xml").write_text(f"<tiledVolumeDescription {text} />")
        if tile is not None:
            (path / f"tiles/w=00000000/z=00000000/y=00000000,x=00000000.{end}").write_bytes(tile)
        return path

    return write


def mojo_xml(data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = samples.write_mojo(folder / "mojo", "png")
        (path / "tiledVolumeDescription.xml").write_bytes(data)
        return path

    return write


def boss(extent: int, tile: int, location: str = "a.png", **first: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "a.png").write_bytes(samples.image(samples.VOLUME[0], "png"))
        job = {"extent": {"z": [0, 4], "y": [0, extent], "x": [0, extent]}}
        job |= {"tile_size": {"z": 1, "y": tile, "x": tile}}
        tiles = [{"location": location, "z": 0, "row": 0, "column": 0, **first}]
        (folder / "v.json").write_text(json.dumps({"ingest_job": job, "tiles": tiles}))
        return folder / "v.json"

    return write


def tilespec(image: bytes, **changes: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "a.png").write_bytes(image)
        tile = {"z": 0, "height": 40, "width": 33, "transforms": []}
        tile |= {"mipmapLevels": {"0": {"imageUrl": "a.png"}}, **changes}
        (folder / "v.json").write_text(json.dumps([tile]))
        return folder / "v.json"

    return write


def affine(text: str) -> dict[str, Any]:
    return {"transforms": [{"className": "AffineModel2D", "dataString": text}]}


def archive(
    change: Callable[[bytearray], Any] | None = None, **entries: Any
) -> Callable[[Path], Path]:
    """Write an archive of an array, then change its bytes."""

    def write(folder: Path) -> Path:
        meta = {"zarr_format": 2, "shape": [64] * 3, "chunks": [64] * 3, "dtype": "|u1"}
        meta |= {"compressor": None, "fill_value": 7, "order": "C", "filters": None}
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(".zarray", json.dumps(meta))
            with made.open("0.0.0", "w", force_zip64=True) as chunk:
                for _ in range(entries.get("pieces", 1)):
                    chunk.write(bytes(entries.get("size", 64**3)))
        data = bytearray(file.getvalue())
        if change is not None:
            change(data)
        (folder / "v.zip").write_bytes(data)
        return folder / "v.zip"

    return write


def blosc_in_zip(method: int) -> Callable[[Path], Path]:
    """Write an archive with a chunk that Blosc packed."""

    def write(folder: Path) -> Path:
        words = {"id": "blosc", **BLOSC_WORDS}
        array = zarr2(BLOSC_HEADER, compressor=words)(folder)
        with zipfile.ZipFile(folder / "v.zip", "w", method) as made:
            for name in (".zarray", "0.0.0"):
                made.write(array / name, name)
        return folder / "v.zip"

    return write


def at_local(offset: int, value: bytes) -> Callable[[bytearray], None]:
    """Change the header in front of the last entry."""

    def change(data: bytearray) -> None:
        at = data.rindex(b"PK\3\4") + offset
        data[at : at + len(value)] = value

    return change


def at_central(offset: int, value: bytes) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        at = data.rindex(b"PK\1\2") + offset
        data[at : at + len(value)] = value

    return change


def nrrd(sizes: str, encoding: str = "raw", data: bytes = b"", more: str = "") -> bytes:
    lines = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: {}\nencoding: {}\n{}\n"
    return lines.format(sizes, encoding, more).encode() + data


def npy(shape: str, length: int | None = None, version: int = 2) -> bytes:
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    size = len(head) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<I", size) + head


def nrrd_list(names: bytes) -> bytes:
    lines = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
    return lines + b"data file: LIST\n" + names


def npz(array: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.npy", array)
    return file.getvalue()


def mrc(*sides: int, stamp: bytes = b"MAP DA\0\0", group: int = 0) -> bytes:
    data = bytearray(1024)
    struct.pack_into("<iiii", data, 0, *sides, 0)
    struct.pack_into("<i", data, 36, 1)
    struct.pack_into("<iii", data, 64, 1, 2, 3)
    struct.pack_into("<i", data, 88, group)
    data[208:216] = stamp
    return bytes(data)


def nifti(*sides: int) -> bytes:
    data = bytearray(352)
    struct.pack_into("<i", data, 0, 348)
    struct.pack_into("<8h", data, 40, 3, *sides, 1, 1, 1, 1)
    struct.pack_into("<hhffff", data, 70, 2, 8, 0, 1, 1, 1)
    struct.pack_into("<f", data, 108, 352)
    data[344:348] = b"n+1\0"
    return bytes(data)


def zipped(data: bytes, zeros_behind: int) -> bytes:
    """Return gzip of a header and zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [GZIPPED[:10], packer.compress(data), packer.flush(zlib.Z_FULL_FLUSH)]
    piece = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"".join(pieces) + piece * (zeros_behind // PIECE) + b"\x03\0" + bytes(8)


ZSTD = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", (1 << 32) - 1) + b"\x01\x00\x00"
BZ2 = bz2.compress(bytes(1 << 28))
BLOSC = {"compression": hdf5plugin.Blosc()}
BLOSC_WORDS = {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
BLOSC_HEADER = struct.pack("<BBBBIII", 2, 1, 0x21, 1, (1 << 31) - 17, 1 << 20, 64) + bytes(48)
DEEP = b"[" * 200_000

GZ, ZL = {"compressor": {"id": "gzip", "level": 1}}, {"compressor": {"id": "zlib", "level": 1}}
THIN = {"shape": [4, 16, 64], "chunks": [4, 16, 1 << 32]}

DELTA = {"id": "delta", "dtype": "|u1"}

LZ4_OF_3 = {"name": "numcodecs.lz4"}

BOMBS: dict[str, Callable[[Path], Path]] = {
    "png of 2^31": stack("png", lambda: png((1 << 31) - 1, (1 << 31) - 1)),
    "png of 65,000": stack("png", lambda: png(65_000, 65_000, data=zlib.compress(bytes(9)))),
    "png of 12,000": stack("png", lambda: png(12_000, 12_000, data=zeros(138 << 20))),
    "png of 20,000, rgb": stack("png", lambda: png(20_000, 20_000, colour=2)),
    "png of 20,000, rgba of 16 bits": stack("png", lambda: png(20_000, 20_000, 16, 6)),
    "jpeg of 65,500": stack("jpg", lambda: jpeg(65_500, 65_500)),
    "progressive jpeg of 30,000": stack("jpg", lambda: jpeg(30_000, 30_000, 0xC2)),
    "jpeg without a side": stack("jpg", lambda: jpeg(0, 0)),
    "stack of tiff strips of 4 GB": stack("tif", lambda: tiff(RowsPerStrip=1 << 31)),
    "stack of tiff of 2^32": stack("tif", lambda: tiff(ImageWidth=(1 << 32) - 1)),
    "stack of long png": lambda f: (
        stack("png", lambda: png(64, 64))(f),
        sparse(f / "stack/s0.png"),
    )[0],
    "tiff, width": alone("v.tif", lambda: tiff(ImageWidth=(1 << 32) - 1)),
    "tiff, length": alone("v.tif", lambda: tiff(ImageLength=(1 << 32) - 1)),
    "tiff, both": alone("v.tif", lambda: tiff(ImageLength=1 << 20, ImageWidth=1 << 20)),
    "tiff, samples": alone("v.tif", lambda: tiff(SamplesPerPixel=65_535)),
    "tiff, rows of a strip": alone("v.tif", lambda: tiff(RowsPerStrip=1, ImageLength=1 << 31)),
    "tiff, long": long("v.tif", tiff(ImageLength=1 << 16, ImageWidth=1 << 16)),
    "tiff, ring": alone("v.tif", lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
    "tiff, nothing": long("v.tif", b"II*\0\x08\0\0\0"),
    "tiff, jpeg": lambda f: (
        (f / "v.tif").write_bytes(
            samples.write_tiff(f / "v.tif", "jpeg")
            .read_bytes()
            .replace(struct.pack(">HH", 16, 16), struct.pack(">HH", 65_500, 65_500))
        )
        and f / "v.tif"
    ),
    "tiff, description": lambda f: _described(f / "v.tif", "<OME>" + "<a/>" * 3_000_000),
    "tiff, entities": lambda f: _described(f / "v.tif", LAUGHS.decode()),
    "zarr, missing chunk": zarr2(chunks=[SIDE] * 3),
    "zarr, missing chunk of all": zarr2(chunks=[SIDE] * 3, shape=[SIDE] * 3),
    "zarr, stored chunk": zarr2(b"abc", chunks=[SIDE] * 3),
    "zarr, stored gzip chunk": zarr2(GZIPPED, chunks=[2048] * 3, **GZ),
    "zarr, missing thin chunk": zarr2(**THIN),
    "zarr, stored thin chunk": zarr2(b"abc", **THIN),
    "zarr, thin volume": zarr2(b"abc", shape=[4, 16, 1 << 32], chunks=[4, 16, 1 << 32]),
    "zarr, chunk of 2^62": zarr2(b"abc", chunks=[HUGE, 1, 1]),
    "zarr, chunk of 2^64": zarr2(b"abc", chunks=[1 << 64, 1, 1]),
    "zarr, no chunk": zarr2(chunks=[0, 64, 64]),
    "zarr, negative chunk": zarr2(chunks=[-64, 64, 64]),
    "zarr, negative shape": zarr2(shape=[-64, 64, 64]),
    "zarr, shape of 2^62": zarr2(shape=[HUGE, 64, 64]),
    "zarr, gzip": zarr2(GZIPPED, **GZ),
    "zarr, zlib": zarr2(DEFLATED, **ZL),
    "zarr, bz2": zarr2(BZ2, compressor={"id": "bz2", "level": 1}),
    "zarr, zstd": zarr2(ZSTD, compressor={"id": "zstd", "level": 1}),
    "zarr, long chunk": zarr2(b"", 3 * GIB),
    "zarr, long gzip chunk": zarr2(GZIPPED, 3 * GIB, **GZ),
    "zarr, wide voxels": zarr2(b"abc", dtype="|V1000000000"),
    "zarr, long document": long_in(".zarray"),
    "zarr, long document of JSON": long_in(".zarray", b'{"zarr_format": 2}'),
    "zarr, deep document": lambda f: _in(f, ".zarray", DEEP),
    "zarr3, deep document": lambda f: _in(f, "zarr.json", DEEP),
    "zarr3, long document": long_in("zarr.json"),
    "zarr3, missing chunk": zarr3(**grid([SIDE] * 3)),
    "zarr3, stored chunk": zarr3(b"abc", **grid([SIDE] * 3)),
    "zarr3, gzip twice": zarr3(
        gzip.compress(GZIPPED), codecs=[{"name": "bytes"}, {"name": "gzip"}, {"name": "gzip"}]
    ),
    "zarr3, index of a shard": zarr3(b"abc", shape=[SIDE] * 3, **shards([SIDE] * 3, [64] * 3)),
    "zarr3, long shard": zarr3(b"", 3 * GIB, **shards([64] * 3, [32] * 3)),
    "zarr3, chunk in a shard": zarr3(b"a", **shards([1 << 30] * 3, [1 << 30] * 3)),
    "zarr3, gzip in a shard": zarr3(
        GZIPPED + struct.pack("<QQ", 0, len(GZIPPED)), **shards([64] * 3, [64] * 3)
    ),
    "zarr3, place in a shard": zarr3(struct.pack("<QQ", HUGE, HUGE), **shards([64] * 3, [64] * 3)),
    "zarr, blosc": zarr2(BLOSC_HEADER, compressor={"id": "blosc", **BLOSC_WORDS}),
    "zarr3, blosc": zarr3(BLOSC_HEADER, codecs=[{"name": "bytes"}, blosc3()]),
    "zarr3, blosc and checksum": zarr3(
        BLOSC_HEADER, codecs=[{"name": "bytes"}, blosc3(), {"name": "crc32c"}]
    ),
    "zarr3, blosc in gzip": zarr3(
        gzip.compress(BLOSC_HEADER), codecs=[{"name": "bytes"}, blosc3(), {"name": "gzip"}]
    ),
    "zarr3, blosc in blosc": zarr3(BLOSC_HEADER, codecs=[{"name": "bytes"}, blosc3(), blosc3()]),
    "zarr3, blosc in a shard": zarr3(
        BLOSC_HEADER + struct.pack("<QQ", 0, len(BLOSC_HEADER)),
        **shards([64] * 3, [64] * 3, blosc3()),
    ),
    "zarr3, blosc in a shard's shard": zarr3(
        BLOSC_HEADER + struct.pack("<QQQQ", 0, 64, 0, 80),
        **shards([64] * 3, [64] * 3, shards([64] * 3, [64] * 3, blosc3())["codecs"][0]),
    ),
    "zip, blosc": blosc_in_zip(zipfile.ZIP_STORED),
    "zip, blosc in deflate": blosc_in_zip(zipfile.ZIP_DEFLATED),
    "zarr, lz4": zarr2(struct.pack("<I", 2**32 - 1) + bytes(40), compressor={"id": "lz4"}),
    "zarr, lzma": zarr2(lzma.compress(bytes(256 << 20), preset=0), compressor={"id": "lzma"}),
    "zarr, filter of gzip": zarr2(GZIPPED, filters=[DELTA], **GZ),
    "zarr, filter of zlib": zarr2(DEFLATED, filters=[DELTA], **ZL),
    "zarr, filter of bz2": zarr2(BZ2, filters=[DELTA], compressor={"id": "bz2"}),
    "zarr, filter of zstd": zarr2(ZSTD, filters=[DELTA], compressor={"id": "zstd"}),
    "zarr, filter of blosc": zarr2(BLOSC_HEADER, filters=[DELTA], compressor={"id": "blosc"}),
    "zarr, filters of gzip": zarr2(GZIPPED, filters=[{"id": "gzip"}] * 3, **GZ),
    "zarr, stored filtered chunk": zarr2(b"abc", chunks=[SIDE] * 3, filters=[DELTA]),
    "zarr, wide values": zarr2(b"abc", filters=[{"id": "delta", "dtype": "V1000000000"}]),
    "zarr, long filtered chunk": zarr2(b"", 3 * GIB, filters=[DELTA]),
    "zarr3, lz4": zarr3(
        struct.pack("<I", 2**31 - 1) + bytes(40), codecs=[{"name": "bytes"}, LZ4_OF_3]
    ),
    "zarr3, place of lz4 in a shard": zarr3(
        struct.pack("<QQ", 0, HUGE), **shards([64] * 3, [64] * 3, LZ4_OF_3)
    ),
    "zarr3, lz4 in a long shard": zarr3(b"", 3 * GIB, **shards([64] * 3, [32] * 3, LZ4_OF_3)),
    "zarr3, index of a shard of lz4": zarr3(
        b"abc", shape=[SIDE] * 3, **shards([SIDE] * 3, [64] * 3, LZ4_OF_3)
    ),
    "n5, lz4": n5(
        block(64, struct.pack("<8sBIII", b"LZ4Block", 0x26, 40, 2**32 - 1, 0) + bytes(40)),
        compression={"type": "lz4"},
    ),
    "n5, lz4 header of a block": n5(block(1 << 16, b"abc"), compression={"type": "lz4"}),
    "n5, elements of a block": n5(struct.pack(">HHIIII", 1, 3, 64, 64, 64, 2**32 - 1) + GZIPPED),
    "n5, gzip of a block with elements": n5(
        struct.pack(">HHIIII", 1, 3, 64, 64, 64, 64**3) + GZIPPED
    ),
    "n5, blosc": n5(block(64, BLOSC_HEADER), compression={"type": "blosc", **BLOSC_WORDS}),
    "n5, block size": n5(block(64, b""), blockSize=[SIDE] * 3),
    "n5, block size of 2048": n5(block(2048, GZIPPED), blockSize=[2048] * 3),
    "n5, no block size": n5(blockSize=[0] * 3),
    "n5, dimensions": n5(dimensions=[1 << 40] * 3),
    "n5, header of a block": n5(block(1 << 16, gzip.compress(bytes(64)))),
    "n5, gzip": n5(block(64, GZIPPED)),
    "n5, bzip2": n5(block(64, BZ2), compression={"type": "bzip2"}),
    "n5, long document": long_in("attributes.json"),
    "n5, deep document": lambda f: _in(f, "attributes.json", DEEP),
    "precomputed, missing chunk": pre(chunk_sizes=[[SIDE] * 3]),
    "precomputed, stored chunk": pre(bytes(64**3), chunk_sizes=[[SIDE] * 3]),
    "precomputed, volume": pre(chunk_sizes=[[SIDE] * 3], size=0, key="k", resolution=[1, 1, 1]),
    "precomputed, no chunk": pre(chunk_sizes=[[0] * 3]),
    "precomputed, no resolution": pre(resolution=[0, 0, 0]),
    "precomputed, resolution 1e308": pre(resolution=[1e308] * 3),
    "precomputed, offset": pre(voxel_offset=[HUGE] * 3),
    "precomputed, long chunk": pre(b"", size=3 * GIB),
    "precomputed, png": pre(png(60_000, 60_000), encoding="png"),
    "precomputed, jpeg": pre(jpeg(65_500, 65_500), encoding="jpeg"),
    "precomputed, labels": pre(
        struct.pack("<I", 1) + b"\xff" * 4096,
        dtype="uint64",
        encoding="compressed_segmentation",
        compressed_segmentation_block_size=[8, 8, 8],
    ),
    "precomputed, blocks of labels": pre(
        struct.pack("<I", 1) + bytes(64),
        dtype="uint64",
        encoding="compressed_segmentation",
        compressed_segmentation_block_size=[1 << 30] * 3,
    ),
    "precomputed, minishard bits": pre(b"a", "0.shard", **sharding(minishard_bits=32)),
    "precomputed, shard bits": pre(b"a", f"{0:016x}.shard", **sharding(shard_bits=64)),
    "precomputed, preshift bits": pre(b"a", "0.shard", **sharding(preshift_bits=1 << 40)),
    "precomputed, index of a minishard": pre(shard_of(GZIPPED), "0.shard", **sharding()),
    "precomputed, chunk in a shard": pre(
        shard_of(struct.pack("<QQQ", 0, 0, len(GZIPPED)), GZIPPED), "0.shard", **sharding("raw")
    ),
    "precomputed, long shard": pre(shard_of(bytes(24)), "0.shard", 3 * GIB, **sharding("raw")),
    "precomputed, long document": long_in("info"),
    "precomputed, deep document": lambda f: _in(f, "info", DEEP),
    "hdf5, contiguous": lambda f: _contiguous(f / "v.h5"),
    "hdf5, missing chunks": hdf5(chunks=(64, 64, 64), shape=(1 << 40, 1 << 10, 1 << 10)),
    "hdf5, missing large chunk": hdf5(chunks=(1500, 1024, 1024), maxshape=(None, None, None)),
    "hdf5, large chunk": packed_hdf5(
        zlib.compress(b""), chunks=(1500, 1024, 1024), maxshape=(None,) * 3, compression="gzip"
    ),
    "hdf5, deflate": packed_hdf5(DEFLATED, compression="gzip"),
    "hdf5, deflate behind a user block": packed_hdf5(DEFLATED, 512, compression="gzip"),
    "hdf5, deflate and scale": packed_hdf5(DEFLATED, compression="gzip", scaleoffset=0),
    "hdf5, lzf behind a user block": packed_hdf5(b"\0" * 9, 512, compression="lzf"),
    "hdf5, blosc": packed_hdf5(struct.pack("<BBBBIII", 2, 1, 2, 1, GIB * 2 - 1, 64, 64), **BLOSC),
    "hdf5, zstd": packed_hdf5(ZSTD, compression=hdf5plugin.Zstd()),
    "hdf5, lz4": packed_hdf5(struct.pack(">QI", 1 << 40, 1 << 30), compression=hdf5plugin.LZ4()),
    "hdf5, bzip2": packed_hdf5(BZ2, compression=hdf5plugin.BZip2()),
    "hdf5, bitshuffle": packed_hdf5(
        struct.pack(">QI", 1 << 40, 8192), compression=hdf5plugin.Bitshuffle(cname="lz4")
    ),
    "hdf5, attributes": lambda f: _attributes(f / "v.h5"),
    "hdf5, times": lambda f: _times(f / "v.h5"),
    "hdf5, circles": lambda f: _circles(f / "v.h5"),
    "hdf5, objects": lambda f: _objects(f / "v.h5"),
    "hdf5, gaps": lambda f: _pointer(f, {"z-offset": 1 << 40}),
    "hdf5, pointer to NUL": lambda f: _pointer(f, {"filename": "a\0b"}),
    "hdf5, pointer to a surrogate": lambda f: _pointer(f, {"filename": "\ud800"}),
    "hdf5, deep pointer": alone("v.json", lambda: DEEP),
    "hdf5, long": long("v.h5", b"\x89HDF\r\n\x1a\n"),
    "mojo, tiles": mojo(**{f"numVoxels{a}": (1 << 31) - 1 for a in "YX"}, numVoxelsPerTileX=SIDE),
    "mojo, one tile": mojo(
        **{f"{n}{a}": (1 << 31) - 1 for a in "YX" for n in ("numVoxels", "numVoxelsPerTile")}
    ),
    "mojo, png": mojo(png((1 << 31) - 1, (1 << 31) - 1)),
    "mojo, hdf5": mojo(None, "h5"),
    "mojo, elements": mojo_xml(b"<tiledVolumeDescription>" + b"<a/>" * 3_000_000),
    "mojo, entities": mojo_xml(b"<!DOCTYPE a><tiledVolumeDescription/>"),
    "mojo, long": lambda f: (
        mojo()(f),
        sparse(f / "mojo/tiledVolumeDescription.xml", b"<tiledVolumeDescription"),
    )[0],
    "boss, tiles": boss(1 << 40, 40, "{row}_{column}.png"),
    "boss, one tile": boss(SIDE, SIDE),
    "boss, places": boss(1 << 62, 1 << 62, row=1 << 70),
    "boss, missing tiles": boss(40, 40, "missing.png"),
    "boss, long": long("v.json", b'{"tiles": [], "ingest_job": {}, "a": "'),
    "tilespecs, size": tilespec(b"", height=1 << 60, width=1 << 60),
    "tilespecs, large": tilespec(png(64, 64), height=1 << 39, width=1 << 39),
    "tilespecs, png": tilespec(png((1 << 31) - 1, (1 << 31) - 1)),
    "tilespecs, affine": tilespec(png(33, 40), **affine("1e300 0 0 1e300 0 0")),
    "tilespecs, infinite affine": tilespec(png(33, 40), **affine("1e-300 0 0 1e308 1e308 0")),
    "tilespecs, small affine": tilespec(png(33, 40), **affine("1e-4 0 0 1e-4 0 0")),
    "tilespecs, section": tilespec(png(33, 40), z=1e300),
    "tilespecs, level": tilespec(
        png(33, 40), mipmapLevels={"9" * 5000: {"imageUrl": "a"}, "0": {}}
    ),
    "tilespecs, deep transforms": alone(
        "v.json",
        lambda: b'[{"mipmapLevels": {}, "transforms": ' + b"[" * 900 + b"]" * 900 + b', "z": 1}]',
    ),
    "tilespecs, long": long("v.json", b'[{"mipmapLevels": {}, "transforms": []}, "'),
    "zip, entry": archive(pieces=80, size=1 << 24),
    "zip, flag 8": archive(at_local(6, b"\x08\0")),
    "zip, size": archive(at_local(18, b"\1\2\3\4")),
    "zip, flag 8 and size": archive(
        lambda d: (at_local(6, b"\x08\0")(d), at_local(18, bytes(8))(d))
    ),
    "zip, method": archive(at_central(10, b"\x0e\0")),
    "zip, other method": archive(at_local(8, b"\x0c\0")),
    "zip, encrypted": archive(lambda d: (at_local(6, b"\1\0")(d), at_central(8, b"\1\0")(d))),
    "zip, overlap": archive(at_central(42, bytes(4))),
    "zip, place": archive(at_central(42, b"\xfe\xff\xff\x7f")),
    "zip, unpacked size": archive(at_central(24, b"\xfe\xff\xff\xff")),
    "zip, name": archive(at_local(26, b"\xff\xff")),
    "nrrd, negative": alone("v.nrrd", lambda: nrrd("-64 64 -16")),
    "nrrd, negative size": alone("v.nrrd", lambda: nrrd("16 16 -16")),
    "nrrd, huge": alone("v.nrrd", lambda: nrrd(f"{1 << 31} {1 << 31} {1 << 31}")),
    "nrrd, 1e300": alone("v.nrrd", lambda: nrrd("1e300 4 4")),
    "nrrd, gzip": alone("v.nrrd", lambda: nrrd("2048 2048 1024", "gzip", GZIPPED)),
    "nrrd, long": long("v.nrrd", b"NRRD0004\n"),
    "nrrd, skip": alone("v.nrrd", lambda: nrrd("4 4 4", more=f"byte skip: {HUGE * 2}\n")),
    "nrrd, text": long("v.nrrd", nrrd("9999 9999 9", "text", b"1 2 "), 900 << 20),
    "nrrd, long text": long("v.nrrd", nrrd("4 4 4", "text", b"1 2 "), 64 * GIB),
    "nrrd, files": alone("v.nhdr", lambda: nrrd("4 4 4", more=f"data file: %d 0 {HUGE} 1")),
    "nrrd, list": alone("v.nhdr", lambda: nrrd_list(b"a\n" * (1 << 24))),
    "nrrd, long list": long("v.nhdr", nrrd_list(b"a\n"), 64 * GIB),
    "nrrd, lines": alone("v.nrrd", lambda: nrrd("4 4 4", more=f"line skip: {HUGE}\n")),
    "npy, header": alone("v.npy", lambda: npy("(4, 4, 4)", (1 << 32) - 1)),
    "npy, long header": long("v.npy", npy("(4, 4, 4)", (1 << 32) - 1), 5 * GIB),
    "npy, packed header": alone(
        "v.npy.gz", lambda: zipped(npy("(4, 4, 4)", (1 << 32) - 1), 4 * GIB)
    ),
    "npy, huge": alone("v.npy", lambda: npy(f"({HUGE}, {HUGE}, 4)")),
    "npy, 2^63": alone("v.npy", lambda: npy(f"({1 << 63}, 1, 1)")),
    "npy, negative": alone("v.npy", lambda: npy("(-4, -4, 4)")),
    "npy, empty": alone("v.npy", lambda: npy("(0, 4, 4)")),
    "npz, header": alone("v.npz", lambda: npz(npy("(4, 4, 4)", (1 << 32) - 1) + bytes(1 << 20))),
    "npz, huge": alone("v.npz", lambda: npz(npy(f"({HUGE}, {HUGE}, 4)"))),
    "npz, negative": alone("v.npz", lambda: npz(npy("(-4, -4, 4)"))),
    "mrc, huge": alone("v.mrc", lambda: mrc((1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1)),
    "mrc, unstamped": alone("v.mrc", lambda: mrc(1 << 24, 1 << 24, 2, stamp=bytes(8))),
    "mrc, stack": alone("v.mrc", lambda: mrc(1, 1, (1 << 31) - 1, group=401)),
    "mrc, negative": alone("v.mrc", lambda: mrc(-4, -4, 4)),
    "mrc, packed": alone("v.mrc.gz", lambda: zipped(mrc(2048, 2048, 1024), 4 * GIB)),
    "mrc, zeros behind": long("v.mrc.gz", gzip.compress(mrc(4, 4, 4)), 64 * GIB),
    "nifti, huge": alone("v.nii", lambda: nifti(32_767, 32_767, 32_767)),
    "nifti, negative": alone("v.nii", lambda: nifti(-4, -4, 4)),
    "nifti, packed": alone("v.nii.gz", lambda: zipped(nifti(2048, 2048, 1024), 4 * GIB)),
}
"""By what is enormous in it; each function writes one into a folder and gives the channel."""

LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12)
)
LAUGHS += b"]><OME>&m;</OME>"


def _in(folder: Path, name: str, data: bytes) -> Path:
    (folder / "volume").mkdir()
    (folder / "volume" / name).write_bytes(data)
    return folder / "volume"


def _described(path: Path, text: str) -> Path:
    tifffile.imwrite(path, samples.VOLUME[0], description=text, metadata=None)
    return path


def _contiguous(path: Path) -> Path:
    """State that a dataset without chunks has 2^60 voxels, in a file of a few kilobytes."""
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((1 << 20, 1 << 20, 1 << 20))
        h5py.h5d.create(file.id, b"main", h5py.h5t.STD_U8LE, space)
    return path


def _times(path: Path) -> Path:
    """State 2^60 times of a small volume."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset("main", (1 << 60, 2, 2, 2), "u1", chunks=(1, 2, 2, 2))
        made.attrs["axes"] = "tzyx"
    return path


def _circles(path: Path) -> Path:
    """Link groups of a file to each other, so that there are paths of any length."""
    with h5py.File(path, "w") as file:
        for number in range(30):
            group = file.create_group(f"g{number}")
            group["soft"] = h5py.SoftLink("/")
            group["hard"] = file["/"]
            group["self"] = h5py.ExternalLink(path.name, f"/g{(number + 1) % 30}")
            group["raw"] = h5py.ExternalLink(path.name, f"/g{(number + 1) % 30}/raw")
        file["g0/volume"] = samples.VOLUME
    return path


def _objects(path: Path) -> Path:
    """Write many groups and small datasets."""
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(5000):
            file.create_group(f"{number}")
        for number in range(1100):
            file.create_dataset(f"{number}/v", (2, 2, 2), "u1")
    return path


def _attributes(path: Path) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        made = file.create_dataset("main", data=samples.VOLUME)
        for number in range(2000):
            made.attrs[f"a{number}"] = np.arange(100)
        made.attrs["resolution"] = np.ones(1 << 24)
    return path


def _pointer(folder: Path, pointer: dict[str, Any]) -> Path:
    samples.write_hdf5(folder / "a.hdf")
    (folder / "v.json").write_text(json.dumps([{"filename": "a.hdf", **pointer}]))
    return folder / "v.json"
