"""A small valid channel of every format, packed in every usual way."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import mrcfile
import nibabel
import nrrd
import numcodecs
import numpy as np
import tensorstore as ts
import tifffile

from bfly.testing.volumes import random_volume
from tests.fixtures import bdv_pair, imaris_file, knossos_cubes, wkw_dataset
from tests.fixtures.bdv_pair import BACKENDS
from tests.fixtures.lz4_java import lz4_java

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["write_samples"]

VOLUME = random_volume((4, 40, 33), "uint8")
LABELS = random_volume((4, 40, 33), "uint64")


def write_samples(folder: Path, data: Path | None = None) -> list[Path]:
    """Write each sample into a folder of its own, with the channel's path in ``channel``."""
    made = []
    for name, write in samples():
        sample = folder / name
        sample.mkdir(parents=True)
        path = write(sample)
        (sample / "channel").write_text(json.dumps(str(path)))
        made.append(path)
    for each in sorted((data / "formats").glob("*/*")) if data else ():
        if each.is_dir() and sum(file.stat().st_size for file in each.rglob("*")) < 100_000:
            sample = folder / f"real-{each.parent.name}-{each.name}"
            shutil.copytree(each, sample / "volume")
            (sample / "channel").write_text(json.dumps(str(sample / "volume")))
            made.append(sample / "volume")
    return made


def samples() -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """Yield the names of samples and the functions that write them."""
    hdf5: dict[str, dict[str, Any]] = {
        "contiguous": {},
        "gzip": {"chunks": (2, 16, 16), "compression": "gzip"},
        "shuffled": {"chunks": (2, 16, 16), "compression": "lzf", "shuffle": True},
        "checked": {"chunks": (2, 16, 16), "compression": "gzip", "fletcher32": True},
        "scaled": {"chunks": (2, 16, 16), "scaleoffset": 0},
    }
    for name, options in hdf5.items():
        yield f"hdf5-{name}", lambda folder, o=options: write_hdf5(folder / "v.h5", **o)
    block = {"userblock_size": 512}
    yield "hdf5-block", lambda f: write_hdf5(f / "v.h5", block, **hdf5["gzip"])
    yield "hdf5-latest", lambda f: write_hdf5(f / "v.h5", {"libver": "latest"}, **hdf5["gzip"])
    yield "hdf5-pointer", write_pointer
    yield "hdf5-axes", write_hdf5_axes
    yield "hdf5-several", write_hdf5_several
    yield "hdf5-bdv", write_hdf5_bdv
    yield "imaris", lambda f: imaris_file.write(f / "v.ims", VOLUME)
    for backend in BACKENDS:
        yield f"bdv-{backend}", lambda f, b=backend: bdv_pair.write(f, {(0, 0): VOLUME}, backend=b)
    for packed in ("none", "zlib", "lzw", "jpeg", "jpeg2000", "png", "webp", "zstd", "packbits"):
        yield f"tiff-{packed}", lambda f, p=packed: write_tiff(f / "v.tif", p)
    yield "tiff-big", lambda f: write_tiff(f / "v.tif", "zlib", bigtiff=True, byteorder=">")
    yield "tiff-ome", lambda f: write_tiff(f / "v.ome.tif", "zlib", ome=True)
    yield "tiff-imagej", lambda f: write_tiff(f / "v.tif", "none", imagej=True)
    for end in ("png", "jpg", "tif", *CODED):
        yield f"stack-{end}", lambda f, e=end: write_stack(f / "stack", e)
    for end in ("png", "jpg", "tif"):
        yield f"mojo-{end}", lambda f, e=end: write_mojo(f / "mojo", e)
    yield "mojo-h5", lambda f: write_mojo(f / "mojo", "h5")
    yield "boss", write_boss
    yield "tilespecs", write_tilespecs
    yield "mrc", lambda f: write_mrc(f / "v.mrc", None)
    yield "mrc-gz", lambda f: write_mrc(f / "v.mrc.gz", "gzip")
    yield "mrc-unstamped", write_unstamped
    yield "nifti", lambda f: write_nifti(f / "v.nii")
    yield "nifti-gz", lambda f: write_nifti(f / "v.nii.gz")
    for packed in ("raw", "gzip", "bzip2"):
        yield f"nrrd-{packed}", lambda f, p=packed: write_nrrd(f / "v.nrrd", p)
    yield "nrrd-detached", lambda f: write_nrrd(f / "v.nhdr", "raw")
    yield "nrrd-text", lambda f: write_nrrd(f / "v.nrrd", "ascii")
    yield "nrrd-list", write_nrrd_list
    yield "nifti-pair", lambda f: write_pair(f, nibabel.Nifti1Pair)
    yield "analyze", lambda f: write_pair(f, nibabel.AnalyzeImage)
    yield "npy-f8", lambda f: write_npy(f / "v.npy", "f8")
    yield "npy", lambda f: write_npy(f / "v.npy")
    yield "npz", lambda f: write_npz(f / "v.npz", np.savez)
    yield "npz-deflated", lambda f: write_npz(f / "v.npz", np.savez_compressed)
    for packed in (None, "gzip", "zlib", "bz2", "zstd", "blosc"):
        yield f"zarr2-{packed}", lambda f, p=packed: write_zarr2(f / "v.zarr", p)
    for packed in ("none", "gzip", "blosc", "zstd", "shards"):
        yield f"zarr3-{packed}", lambda f, p=packed: write_zarr3(f / "v.zarr", p)
    for name, (filters, packed) in FILTERED.items():
        yield f"zarr2-{name}", lambda f, w=filters, p=packed: write_filtered(f / "v.zarr", w, p)
    yield "zarr-ome", write_ome
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        yield f"zip-{method}", lambda f, m=method: write_zip(f, m)
    for packed in ("raw", "gzip", "bzip2", "xz", "blosc"):
        yield f"n5-{packed}", lambda f, p=packed: write_n5(f / "v.n5", p)
    yield "n5-lz4", lambda f: write_n5_lz4(f / "v.n5")
    for packed in ("raw", "jpeg", "png", "compressed_segmentation"):
        yield f"precomputed-{packed}", lambda f, p=packed: write_precomputed(f / "pre", p)
    for packed in ("raw", "gzip"):
        yield f"shards-{packed}", lambda f, p=packed: write_shards(f / "pre", p)
    for packed in ("raw", "lz4"):
        yield (
            f"webknossos-{packed}",
            lambda f, p=packed: wkw_dataset.write(f / "v", VOLUME, packing=p),
        )
        yield (
            f"wkw-{packed}",
            lambda f, p=packed: (
                wkw_dataset.write(f / "v", VOLUME, packing=p, voxel_size=None) / "color"
            ),
        )
    for end in (".raw", ".png", ".jpg", ".j2k", ".seg", ".seg.sz", ".seg.sz.zip"):
        yield f"knossos-{end[1:]}", lambda f, e=end: write_knossos(f / "v", e, "k.toml")
    for by in ("knossos.conf", "pyk.conf"):
        yield f"knossos-{by}", lambda f, b=by: write_knossos(f / "v", ".raw", b)


def write_knossos(folder: Path, ending: str, by: str) -> Path:
    volume = LABELS if ".seg" in ending else VOLUME
    return knossos_cubes.write(folder, volume, ending=ending, cube=(16, 16, 16), by=by)


def write_hdf5(path: Path, how: dict[str, Any] | None = None, **options: Any) -> Path:
    with h5py.File(path, "w", **(how or {})) as file:
        made = file.create_dataset("main", data=VOLUME, **options)
        made.attrs["resolution"] = (30.0, 4.0, 4.0)
        file.create_group("other").attrs["units"] = "nm"
    return path


def write_pointer(folder: Path) -> Path:
    write_hdf5(folder / "a.hdf")
    write_hdf5(folder / "b.hdf", chunks=(2, 16, 16), compression="gzip")
    path = folder / "v.json"
    pointers = [{"filename": f"{name}.hdf", "dataset-path": "main"} for name in "ab"]
    path.write_text(json.dumps(pointers))
    return path


def write_hdf5_axes(folder: Path) -> Path:
    with h5py.File(folder / "v.h5", "w") as file:
        made = file.create_dataset("main", data=np.stack([VOLUME] * 2, -1), chunks=(2, 16, 16, 1))
        keys = ", ".join(f'{{"key": "{letter}"}}' for letter in "zyxc")
        made.attrs["axistags"] = f'{{"axes": [{keys}]}}'
        for axis, letter in enumerate("zyxc"):
            made.dims[axis].label = letter
        scale = file.create_dataset("scale", data=np.zeros(len(VOLUME)))
        scale.make_scale("z")
        made.dims[0].attach_scale(scale)
    return folder / "v.h5"


def write_hdf5_several(folder: Path) -> Path:
    write_hdf5(folder / "a.hdf")
    with h5py.File(folder / "v.h5", "w") as file:
        file["labels/s0"] = VOLUME
        file["labels/s1"] = VOLUME[::2, ::2, ::2]
        file["raw"] = h5py.ExternalLink("a.hdf", "main")
        file["again"] = h5py.SoftLink("/labels/s0")
    return folder / "v.h5"


def write_hdf5_bdv(folder: Path) -> Path:
    with h5py.File(folder / "v.h5", "w") as file:
        file["s00/resolutions"] = np.array([(1, 1, 1), (2, 2, 2)], "f8")
        for level in range(2):
            file[f"t00000/s00/{level}/cells"] = VOLUME[:: level + 1, :: level + 1, :: level + 1]
    size = "<voxelSize><unit>um</unit><size>0.1 0.1 0.3</size></voxelSize>"
    setups = f"<ViewSetups><ViewSetup><id>0</id>{size}</ViewSetup></ViewSetups>"
    (folder / "v.xml").write_text(f"<SpimData>{setups}</SpimData>")
    return folder / "v.h5"


def write_tiff(path: Path, packed: str, **how: Any) -> Path:
    with tifffile.TiffWriter(path, **how) as file:
        if "imagej" in how:
            file.write(VOLUME, resolution=(1, 1), metadata={"axes": "ZYX", "unit": "um"})
            return path
        pixels = np.dstack([VOLUME[0]] * 3) if packed == "webp" else VOLUME
        file.write(
            pixels,
            photometric="rgb" if packed == "webp" else "minisblack",
            tile=(16, 16) if packed not in ("none", "lzw") else None,
            rowsperstrip=16 if packed == "lzw" else None,
            compression=None if packed == "none" else packed,
            metadata={"axes": "ZYX"} if packed != "webp" else None,
        )
    return path


CODED: dict[str, Callable[..., Any]] = {
    "avif": imagecodecs.avif_encode,
    "bmp": imagecodecs.bmp_encode,
    "jp2": imagecodecs.jpeg2k_encode,
    "jxl": imagecodecs.jpegxl_encode,
    "webp": lambda pixels: imagecodecs.webp_encode(np.dstack([pixels] * 3)),
}


def image(pixels: np.ndarray, end: str) -> bytes:
    """Encode one section."""
    if end in CODED:
        return bytes(CODED[end](pixels))
    if end == "png":
        return bytes(imagecodecs.png_encode(pixels))
    if end == "jpg":
        return bytes(imagecodecs.jpeg_encode(pixels))
    file = io.BytesIO()
    if end == "h5":
        with h5py.File(file, "w") as h5:
            h5.create_dataset("main", data=pixels, compression="gzip")
    else:
        tifffile.imwrite(file, pixels, compression="zlib", photometric="minisblack")
    return file.getvalue()


def write_stack(folder: Path, end: str) -> Path:
    folder.mkdir()
    for z, section in enumerate(VOLUME):
        (folder / f"s{z}.{end}").write_bytes(image(section, end))
    return folder


def write_mojo(folder: Path, end: str) -> Path:
    folder.mkdir()
    depth, height, width = VOLUME.shape
    words = {"numTilesW": 1, "numBytesPerVoxel": 1, "fileExtension": end}
    sizes = {"Z": (depth, 1), "Y": (height, 40), "X": (width, 40)}
    for axis, (size, tile) in sizes.items():
        words |= {f"numVoxels{axis}": size, f"numVoxelsPerTile{axis}": tile}
    text = " ".join(f'{name}="{value}"' for name, value in words.items())
    (folder / "tiledVolumeDescription.xml").write_text(f"<tiledVolumeDescription {text} />")
    for z, section in enumerate(VOLUME):
        tile = folder / f"tiles/w=00000000/z={z:08d}/y=00000000,x=00000000.{end}"
        tile.parent.mkdir(parents=True)
        tile.write_bytes(image(section, end))
    return folder


def write_boss(folder: Path) -> Path:
    for z, section in enumerate(VOLUME):
        (folder / f"{z}_0_0.png").write_bytes(image(section, "png"))
    extent = dict(zip("zyx", ([0, n] for n in VOLUME.shape), strict=True))
    job = {"extent": extent, "tile_size": {"z": 1, "y": 40, "x": 33}}
    tiles = [{"location": f"{z}_{{row}}_{{column}}.png", "z": z} for z in range(len(VOLUME))]
    path = folder / "v.json"
    path.write_text(json.dumps({"ingest_job": job, "tiles": tiles}))
    return path


def write_tilespecs(folder: Path) -> Path:
    tiles = []
    for z, section in enumerate(VOLUME[:2]):
        (folder / f"{z}.png").write_bytes(image(section, "png"))
        affine = {"className": "mpicbg.trakem2.transform.AffineModel2D"}
        affine["dataString"] = f"1 0.1 -0.1 1 {3 * z} 5"
        tiles.append(
            {
                **{"z": z, "height": 40, "width": 33, "transforms": [affine]},
                "mipmapLevels": {"0": {"imageUrl": f"{z}.png"}},
            }
        )
    path = folder / "v.json"
    path.write_text(json.dumps(tiles))
    return path


def write_mrc(path: Path, packed: str | None) -> Path:
    with mrcfile.new(path, VOLUME.view("i1"), compression=packed) as file:
        file.voxel_size = 40.0
    return path


def write_nifti(path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.eye(4)), path)
    return path


def write_nrrd(path: Path, packed: str) -> Path:
    nrrd.write(str(path), VOLUME.T, {"encoding": packed, "spacings": [4, 4, 30]})
    return path


def write_unstamped(folder: Path) -> Path:
    path = write_mrc(folder / "v.rec", None)
    data = bytearray(path.read_bytes())
    data[208:216] = bytes(8)
    path.write_bytes(data)
    return path


def write_nrrd_list(folder: Path) -> Path:
    for z, section in enumerate(VOLUME):
        (folder / f"{z}.raw").write_bytes(section.tobytes())
    sizes = " ".join(map(str, VOLUME.shape[::-1]))
    names = "\n".join(f"{z}.raw" for z in range(len(VOLUME)))
    header = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: raw\n"
    (folder / "v.nhdr").write_text(f"{header}data file: LIST\n{names}\n")
    return folder / "v.nhdr"


def write_pair(folder: Path, kind: Any) -> Path:
    nibabel.save(kind(VOLUME.T, np.eye(4)), folder / "v.img")
    return folder / "v.hdr"


def write_npy(path: Path, dtype: str = "u1") -> Path:
    np.save(path, VOLUME.astype(dtype))
    return path


def write_npz(path: Path, write: Callable[..., None]) -> Path:
    write(path, main=VOLUME)
    return path


def write_array(path: Path, spec: dict[str, Any], volume: np.ndarray = VOLUME) -> Path:
    store = {"kvstore": {"driver": "file", "path": f"{path}/"}}
    made = ts.open({**spec, **store}, create=True).result()
    made[...] = volume
    return path


def write_zarr2(path: Path, packed: str | None) -> Path:
    compressor = packed and {"id": packed}
    meta = {"shape": VOLUME.shape, "chunks": (2, 16, 16), "dtype": "|u1", "compressor": compressor}
    return write_array(path, {"driver": "zarr", "metadata": meta})


FILTERED: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "lz4": ([], {"id": "lz4"}),
    "lzma": ([], {"id": "lzma"}),
    "delta": ([{"id": "delta", "dtype": "|u1"}], {"id": "blosc"}),
    "shuffle": ([{"id": "shuffle", "elementsize": 4}], {"id": "zlib"}),
    "crc32": ([{"id": "crc32"}], {"id": "zstd"}),
}
"""Filters and compressors of numcodecs."""


def write_filtered(path: Path, filters: list[dict[str, Any]], packed: dict[str, Any]) -> Path:
    """Write an array of zarr 2 with codecs of numcodecs."""
    write_zarr2(path, None)
    meta = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**meta, "filters": filters, "compressor": packed}))
    for chunk in path.glob("*.*.*"):
        data: Any = np.frombuffer(chunk.read_bytes(), "u1")
        for codec in (*filters, packed):
            data = numcodecs.get_codec(codec).encode(data)
        chunk.write_bytes(bytes(data))
    return path


def zarr3(shape: Any, packed: str) -> dict[str, Any]:
    inner: list[Any] = [{"name": "bytes"}]
    if packed not in ("none", "shards"):
        inner.append({"name": packed})
    chunk = [2, 16, 16]
    if packed == "shards":
        inner.append({"name": "gzip"})
        inner = [
            {
                "name": "sharding_indexed",
                "configuration": {"chunk_shape": chunk, "codecs": inner},
            }
        ]
        chunk = [4, 32, 32]
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    return {"shape": list(shape), "data_type": "uint8", "chunk_grid": grid, "codecs": inner}


def write_zarr3(path: Path, packed: str) -> Path:
    return write_array(path, {"driver": "zarr3", "metadata": zarr3(VOLUME.shape, packed)})


def write_ome(folder: Path) -> Path:
    path = folder / "v.zarr"
    coarse = VOLUME[:, ::2, ::2]
    for number, volume in enumerate((VOLUME, coarse)):
        metadata = zarr3(volume.shape, "zstd")
        write_array(path / str(number), {"driver": "zarr3", "metadata": metadata}, volume)
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [{"type": "scale", "scale": [30, 4 * by, 4 * by]}],
        }
        for number, by in enumerate((1, 2))
    ]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(group))
    return path


def write_zip(folder: Path, method: int) -> Path:
    made, path = write_zarr2(folder / "v", "zlib"), folder / "v.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(made.iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(made)
    return path


def write_n5(path: Path, packed: str) -> Path:
    meta = {"dimensions": VOLUME.shape[::-1], "blockSize": (16, 16, 2), "dataType": "uint8"}
    compression: dict[str, Any] = {"type": packed}
    if packed == "blosc":
        compression |= {"cname": "lz4", "clevel": 5, "shuffle": 1}
    spec = {"driver": "n5", "metadata": {**meta, "compression": compression}}
    return write_array(path, spec, VOLUME.T)


def write_n5_lz4(path: Path) -> Path:
    write_n5(path, "raw")
    meta = json.loads((path / "attributes.json").read_text())
    (path / "attributes.json").write_text(json.dumps({**meta, "compression": {"type": "lz4"}}))
    for block in [file for file in path.glob("*/*/*") if file.is_file()]:
        data = block.read_bytes()
        block.write_bytes(data[:16] + lz4_java(data[16:]))
    return path


def write_precomputed(path: Path, packed: str, **scale: Any) -> Path:
    volume = LABELS if packed == "compressed_segmentation" else VOLUME
    kind = "segmentation" if volume is LABELS else "image"
    scale |= {"size": volume.shape[::-1], "encoding": packed, "chunk_size": [16, 16, 2]}
    if volume is LABELS:
        scale["compressed_segmentation_block_size"] = [8, 8, 8]
    described = {"type": kind, "data_type": volume.dtype.name, "num_channels": 1}
    spec = {
        "driver": "neuroglancer_precomputed",
        "multiscale_metadata": described,
        "scale_metadata": {"resolution": [4, 4, 30], "voxel_offset": [0, 0, 0], **scale},
    }
    return write_array(path, spec, volume.T[..., np.newaxis])


def write_shards(path: Path, packed: str) -> Path:
    sharding = {"@type": "neuroglancer_uint64_sharded_v1", "hash": "murmurhash3_x86_128"}
    sharding |= {"preshift_bits": 1, "minishard_bits": 1, "shard_bits": 1}  # type: ignore[dict-item]
    sharding |= {"minishard_index_encoding": packed, "data_encoding": packed}
    return write_precomputed(path, "raw", sharding=sharding)
