"""Labels are on their EM: files of each format are where they state, in every channel and mip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import zarr

from bfly.geometry import zyx
from bfly.queries.data import BoxQuery
from bfly.testing.volumes import random_volume
from tests.sources.n5.test_source import write_n5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.geometry import Zyx

SIZE = (40.0, 8.0, 4.0)
"""Nanometres (z, y, x), all different: no axis can be taken for another."""

AT: Zyx = (4, 6, 10)
"""Position of the labels in the EM (z, y, x)."""


def nm(at: Zyx) -> list[float]:
    return [n * side for n, side in zip(at, SIZE, strict=True)]


def funlib(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    array = zarr.create_array(path, data=volume, chunks=(8, 16, 16), zarr_format=2)
    array.attrs.update({"resolution": SIZE, "offset": nm(at), "axis_names": ["z", "y", "x"]})
    return path


def funlib_in_zarr_3(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    array = zarr.create_array(path, data=volume, chunks=(8, 16, 16))
    micrometres = {"voxel_size": [n / 1000 for n in SIZE], "offset": [n / 1000 for n in nm(at)]}
    array.attrs.update({**micrometres, "units": ["um"] * 3})
    return path


def funlib_in_n5(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    return write_n5(path, volume, resolution=SIZE[::-1], offset=nm(at)[::-1])


def cremi(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    with h5py.File(path.with_suffix(".hdf"), "w") as file:
        dataset = file.create_dataset("volumes/labels/neuron_ids", data=volume, compression="gzip")
        dataset.attrs["resolution"] = SIZE
        if any(at):
            dataset.attrs["offset"] = nm(at)
    return path.with_suffix(".hdf")


def pointed_at(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    file = cremi(path, volume, at)
    words = {"filename": file.name, "dataset-path": "volumes/labels/neuron_ids"}
    path.with_suffix(".json").write_text(json.dumps(words))
    return path.with_suffix(".json")


def paintera(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    path.mkdir()
    words = {"multiScale": True, "resolution": SIZE[::-1], "offset": nm(at)[::-1]}
    (path / "attributes.json").write_text(json.dumps(words))
    write_n5(path / "s0", volume)
    write_n5(path / "s1", volume[:, ::2, ::2].copy(), downsamplingFactors=[2, 2, 1])
    return path


def cosem(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    for mip in (0, 1):
        size = [SIZE[0], SIZE[1] * 2**mip, SIZE[2] * 2**mip]
        centre = [n + (big - small) / 2 for n, big, small in zip(nm(at), size, SIZE, strict=True)]
        words = {"axes": ["z", "y", "x"], "units": ["nm"] * 3, "scale": size, "translate": centre}
        write_n5(path / f"s{mip}", volume[:, :: 2**mip, :: 2**mip].copy(), transform=words)
    return path


def ome(path: Path, volume: np.ndarray, at: Zyx, each: bool = True) -> Path:
    group = zarr.create_group(path, zarr_format=2)
    datasets = []
    for mip in (0, 1):
        group.create_array(str(mip), data=volume[:, :: 2**mip, :: 2**mip].copy())
        steps: list[Any] = [{"type": "scale", "scale": [0.04, 0.008 * 2**mip, 0.004 * 2**mip]}]
        if each or not mip:
            steps.append({"type": "translation", "translation": [n / 1000 for n in nm(at)]})
        datasets.append({"path": str(mip), "coordinateTransformations": steps})
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def ome_without_coarser_translations(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    return ome(path, volume, at, each=False)


def mrc(path: Path, volume: np.ndarray, at: Zyx, **starts: int) -> Path:
    with mrcfile.new(path.with_suffix(".mrc"), volume.astype("u2")) as file:
        file.voxel_size = tuple(10 * n for n in SIZE[::-1])
        if not starts:
            file.header.origin = tuple(10 * n for n in nm(at)[::-1])
        for name, value in starts.items():
            file.header[name] = value
    return path.with_suffix(".mrc")


def mrc_of_a_part(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    return mrc(path, volume, at, nzstart=at[0], nystart=at[1], nxstart=at[2])


def mrc_of_imod(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    """IMOD before 4.7 wrote the opposite sign, and no version of the standard."""
    path = mrc(path, volume, zyx(-n for n in at))
    data = bytearray(path.read_bytes())
    data[108:112], data[152:160] = bytes(4), b"IMOD" + bytes(4)
    path.write_bytes(data)
    return path


def mrc_in_another_order(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    """Sections are along x, rows along y, columns along z."""
    path = mrc(path, volume.T, (0, 0, 0), nxstart=at[0], nystart=at[1], nzstart=at[2])
    with mrcfile.open(path, "r+") as file:
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
        file.header.mx, file.header.my, file.header.mz = volume.shape[::-1]
        file.header.cella = tuple(10 * n * m for n, m in zip(volume.shape, SIZE, strict=True))[::-1]
    return path


def nrrd_of_slicer(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    header = {
        **{"space": "left-posterior-superior", "space directions": np.diag(SIZE[::-1])},
        **{"space origin": nm(at)[::-1], "space units": ["nm"] * 3},
    }
    nrrd.write(str(path.with_suffix(".nrrd")), volume.T, header=header)
    return path.with_suffix(".nrrd")


def nrrd_with_axis_mins(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    header = {"spacings": SIZE[::-1], "axis mins": nm(at)[::-1], "units": ["nm"] * 3}
    nrrd.write(str(path.with_suffix(".nrrd")), volume.T, header=header)
    return path.with_suffix(".nrrd")


def nifti(path: Path, volume: np.ndarray, at: Zyx, flip: int = 1) -> Path:
    affine = np.diag([flip * SIZE[2], flip * SIZE[1], SIZE[0], 1])
    affine[:3, 3] = nm(at)[::-1] * np.array([flip, flip, 1])
    image = nibabel.Nifti1Image(volume.T, affine)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, path.with_suffix(".nii"))
    return path.with_suffix(".nii")


def nifti_of_itk(path: Path, volume: np.ndarray, at: Zyx) -> Path:
    """ITK turns x and y."""
    return nifti(path, volume, at, flip=-1)


WRITERS = [
    *(funlib, funlib_in_zarr_3, funlib_in_n5, cremi, pointed_at, paintera, cosem, ome),
    *(ome_without_coarser_translations, mrc, mrc_of_a_part, mrc_of_imod, mrc_in_another_order),
    *(nrrd_of_slicer, nrrd_with_axis_mins, nifti, nifti_of_itk),
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("mip", [0, 1])
def test_labels_are_on_their_em(
    tmp_path: Path, make_core: Callable[..., Any], write: Callable[..., Path], mip: int
) -> None:
    volume = random_volume((16, 40, 48), "uint8")
    z, y, x = AT
    em = write(tmp_path / "em", volume, (0, 0, 0))
    labels = write(tmp_path / "labels", volume[z:, y:, x:].copy(), AT)
    core = make_core()

    def read(path: Path, box: dict[str, int]) -> np.ndarray:
        query = BoxQuery(path=str(path), resolution=mip, kind="image", **box)
        found: np.ndarray = core.find_tiles(query)
        assert query.volume.level(0).origin == ((0, 0, 0) if path == em else AT)
        return found

    box = {"z": 4, "y": 6 >> mip, "x": 10 >> mip, "depth": 12, "height": 12, "width": 14}
    truth = read(em, box)
    assert truth.any()
    np.testing.assert_array_equal(read(labels, box), truth)
