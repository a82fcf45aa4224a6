"""Arrays whose axes have names, as the libraries of each format write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nibabel
import nrrd
import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.sources.n5.source import N5
from bfly.sources.nifti import Nifti
from bfly.sources.npy import Npy
from bfly.sources.nrrd import Nrrd
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.shared.axes import PARTS
from bfly.sources.tiff.source import Tiff
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.sources.source import Datasource

    Voxels = np.ndarray[Any, np.dtype[Any]]


def zarr_array(path: str, voxels: Voxels, names: str, version: int, chunks: tuple[int, ...]) -> str:
    xarray = {"attributes": {"_ARRAY_DIMENSIONS": [*names]}}
    named: dict[str, Any] = {"dimension_names": names} if version == 3 else xarray
    zarr.create_array(path, data=voxels, chunks=chunks, zarr_format=version, **named)
    return path


def shards(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    sides = tuple(2 * side for side in chunks)
    options = {"chunks": chunks, "shards": sides, "dimension_names": names}
    zarr.create_array(path, data=voxels, **options)
    return path


def ome_zarr(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=voxels, chunks=chunks)
    kinds = {"c": "channel", "t": "time"}
    axes = [{"name": name, "type": kinds.get(name, "space")} for name in names]
    scale = [{"type": "scale", "scale": [1] * len(names)}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def n5(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    described = {"dimensions": voxels.shape, "blockSize": chunks, "dataType": voxels.dtype.name}
    metadata = {**described, "axes": [*names], "compression": {"type": "gzip"}}
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result().write(voxels).result()
    return path


def precomputed(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {
            **{"type": "image", "data_type": voxels.dtype.name, "num_channels": voxels.shape[3]}
        },
        "scale_metadata": {
            **{"size": voxels.shape[:3], "resolution": [4, 4, 30], "encoding": "raw"},
            "chunk_size": chunks[:3],
        },
    }
    ts.open(spec, create=True).result().write(voxels).result()
    return path


def npy(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    np.save(f"{path}.npy", voxels.copy("CF"[chunks[0] % 2]))
    return f"{path}.npy"


def nifti(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    path += ".nii" + ("", ".gz")[chunks[0] % 2]
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


def nrrd_file(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    kinds = ["domain" if name in "zyx" else {"c": "list", "t": "time"}[name] for name in names]
    header = {"kinds": kinds, "encoding": ("raw", "gzip")[chunks[0] % 2], "labels": [*names]}
    nrrd.write(f"{path}.nrrd", voxels, header=header)
    return f"{path}.nrrd"


def tiff(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...], **how: Any) -> str:
    how = {**how, "photometric": "minisblack", "metadata": {"axes": names.upper()}}
    packed = {"compression": "zlib"} if chunks[0] % 2 else {}
    tifffile.imwrite(f"{path}.tif", voxels, **packed, **how)
    return f"{path}.tif"


def ome_tiff(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    return tiff(path, voxels, names, chunks, ome=True)


def imagej(path: str, voxels: Voxels, names: str, chunks: tuple[int, ...]) -> str:
    tifffile.imwrite(f"{path}.tif", voxels, imagej=True, metadata={"axes": names.upper()})
    return f"{path}.tif"


ANY = ["zyx", "yx", "czyx", "cyx", "tzyx", "tczyx", "tcyx", "tyx"]
PAGES = ["zyx", "yx", "czyx", "zcyx", "cyx", "tzyx", "ztyx", "tczyx", "tzcyx", "ctzyx", "tyx"]

WRITERS: dict[str, tuple[type[Datasource], Callable[..., str], list[str], bool]] = {
    "zarr 2": (Zarr, lambda *a: zarr_array(*a[:3], 2, a[3]), ANY, True),
    "zarr 3": (Zarr, lambda *a: zarr_array(*a[:3], 3, a[3]), ANY, True),
    "zarr in shards": (Zarr, shards, ANY, True),
    "OME-Zarr": (Zarr, ome_zarr, ANY, True),
    "N5": (N5, n5, ANY, True),
    "precomputed": (Precomputed, precomputed, ["xyzc"], False),
    "NumPy": (Npy, npy, ["czyx", "tczyx", "zyx"], False),
    "NIfTI": (Nifti, nifti, ["xyz", "xyzt", "xyztc", "xy"], False),
    "NRRD": (Nrrd, nrrd_file, ANY, True),
    "TIFF": (Tiff, tiff, PAGES, False),
    "OME-TIFF": (Tiff, ome_tiff, PAGES, False),
    "ImageJ": (Tiff, imagej, ["zyx", "czyx"[1:], "zcyx", "tzcyx", "tzyx", "tcyx"], False),
}


@pytest.mark.parametrize("case", WRITERS)
def test_every_voxel_is_at_its_place(case: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the axes are called, and in whatever order they are."""
    source, write, choices, any_order = WRITERS[case]

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        names = data.draw(st.sampled_from(choices))
        if any_order:
            names = "".join(data.draw(st.permutations(names)))
        shape = tuple(data.draw(st.integers(2, 9)) for _ in names)
        chunks = tuple(data.draw(st.integers(1, 5)) for _ in names)
        dtype = data.draw(st.sampled_from(["uint8", "uint16", "float32"]))
        voxels = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
        folder = tmp_path_factory.mktemp("axes")
        path = write(f"{folder}/a", voxels, names, chunks)
        lengths = {name: n for name, n in zip(names, shape, strict=True) if name not in "zyx"}
        text = ",".join(f"{name}={data.draw(st.integers(0, n - 1))}" for name, n in lengths.items())
        part = Part.parse(text)
        expected = voxels
        for axis in reversed(range(len(names))):
            if names[axis] in lengths:
                expected = expected.take(int(part.of_axis(names[axis]) or 0), axis)
        left = [name for name in names if name not in lengths]
        expected = expected.transpose([left.index(name) for name in "zyx" if name in left])
        opened = source.open(path, part=part)
        got = opened.read(0, opened.scales[0].box)
        np.testing.assert_array_equal(got, expected.reshape(got.shape))
        assert got.ndim - expected.ndim == ("z" not in names)
        if case != "NumPy":
            found = {str(part) for part in source.parts(path, Files())}
            total = np.prod([*lengths.values(), 1])
            assert len(found) == min(total, PARTS)

    check()


def test_names_of_imagej_in_n5(tmp_path: Any) -> None:
    """ImageJ's plug-in states counts, and leaves out axes of one voxel."""
    voxels = np.random.default_rng(0).integers(0, 250, (6, 5, 3, 4)).astype("u1")
    path = n5(f"{tmp_path}/a", voxels, "xyct", (2, 2, 2, 2))
    document = tmp_path / "a" / "attributes.json"
    attributes = json.loads(document.read_text())
    del attributes["axes"]
    counts = {"numChannels": 3, "numSlices": 1, "numFrames": 4}
    document.write_text(json.dumps({**attributes, **counts}))
    assert len(N5.parts(path, Files())) == 12
    source = N5.open(path, part=Part.parse("c=2,t=3"))
    assert np.array_equal(source.read(0, source.scales[0].box)[0], voxels[:, :, 2, 3].T)
