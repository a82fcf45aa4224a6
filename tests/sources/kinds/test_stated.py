"""What files say about the kind of their voxels: attributes, headers and places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import nibabel
import nrrd
import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.sources.hdf5.source import HDF5
from bfly.sources.n5.source import N5
from bfly.sources.nifti import Nifti
from bfly.sources.nrrd import Nrrd
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.zarr.source import Zarr
from bfly.testing.tissue import tissue

if TYPE_CHECKING:
    from pathlib import Path


EM, _, NEURITES = tissue((16, 128, 128))[:3]


def hdf5(path: Path, name: str, voxels: np.ndarray[Any, Any], **attributes: Any) -> HDF5:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=voxels, chunks=(4, 32, 32), compression="gzip")
        file[name].attrs.update(attributes)
    return HDF5.open(str(path))


def test_nifti_states_labels_and_statistics(tmp_path: Path) -> None:
    for code, kind in (
        (1002, "segmentation"),
        (1003, "segmentation"),
        (3, "image"),
        (1001, "image"),
    ):
        image = nibabel.Nifti1Image(EM.T.astype("i2"), np.eye(4))
        image.header.set_intent(code, allow_unknown=True)
        nibabel.save(image, tmp_path / "v.nii")
        source = Nifti.open(str(tmp_path / "v.nii"))
        assert (source.kind, source.kind_source) == (kind, f"file: intent_code {code}")


def test_slicer_states_segments(tmp_path: Path) -> None:
    header = {"Segment0_ID": "a", "Segment0_LabelValue": "1"}
    nrrd.write(str(tmp_path / "v.nrrd"), EM.T, header=header)
    source = Nrrd.open(str(tmp_path / "v.nrrd"))
    assert (source.kind, source.kind_source[:20]) == ("segmentation", "file: field Segment0")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("random-colortable", "segmentation"),
        ("binary-mask", "segmentation"),
        ("grayscale", "image"),
    ],
)
def test_ilastik_states_how_it_is_displayed(mode: str, kind: str, tmp_path: Path) -> None:
    voxels = EM if kind == "segmentation" else NEURITES
    source = hdf5(tmp_path / "v.h5", "exported_data", voxels, display_mode=mode)
    assert (source.kind, source.kind_source) == (kind, "file: attribute display_mode")
    source = hdf5(tmp_path / "v.h5", "exported_data", EM, display_mode="default")
    assert source.kind_source.startswith("voxels: ")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("volumes/labels/neuron_ids", "segmentation"),
        ("volumes/labels/clefts", "segmentation"),
        ("volumes/raw", "image"),
        ("em/fibsem-uint16/s0", "image"),
        ("labels/mito_seg", "segmentation"),
        ("labels/mito_pred", None),
    ],
)
def test_places_of_cremi_and_cosem_state_the_kind(
    name: str, kind: str | None, tmp_path: Path
) -> None:
    source = hdf5(tmp_path / "v.h5", name, NEURITES if kind == "image" else EM)
    assert source.kind == (kind or "image")
    stated = f"file: dataset {name}"
    assert (source.kind_source == stated) == (kind is not None)


def test_ome_zarr_states_images_and_labels(tmp_path: Path) -> None:
    for word, kind in (("image-label", "segmentation"), ("omero", "image")):
        group = zarr.open_group(str(tmp_path / word), mode="w", zarr_format=2)
        group.create_array("0", data=EM, chunks=(4, 64, 64))
        datasets = [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1] * 3}]}
        ]
        axes = [{"name": axis, "type": "space"} for axis in "zyx"]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets, "version": "0.4"}]
        group.attrs[word] = {"channels": []} if word == "omero" else {}
        source = Zarr.open(str(tmp_path / word))
        assert (source.kind, source.kind_source) == (kind, f"file: OME-Zarr {word}")
    made = zarr.create_array(str(tmp_path / "a.zarr/labels/cells"), data=EM, chunks=(4, 64, 64))
    source = Zarr.open(str(tmp_path / "a.zarr/labels/cells"))
    assert (made.ndim, source.kind_source) == (3, "file: dataset labels/cells")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"painteraData": {"type": "label"}}, "segmentation"),
        ({"painteraData": {"type": "raw"}}, "image"),
        ({"maxId": 70}, "segmentation"),
    ],
)
def test_paintera_states_the_kind(attributes: dict[str, Any], kind: str, tmp_path: Path) -> None:
    shape = EM.shape[::-1]
    metadata = {"dimensions": shape, "blockSize": [64, 64, 4], "dataType": "uint16"}
    spec = {
        "driver": "n5",
        "kvstore": f"file://{tmp_path}/a/",
        "metadata": {**metadata, "compression": {"type": "gzip"}, **attributes},
    }
    voxels = NEURITES if kind == "image" else EM
    ts.open(spec, create=True).result().write(voxels.T.astype("u2")).result()
    source = N5.open(str(tmp_path / "a"))
    assert (source.kind, source.kind_source) == (kind, f"file: attribute {next(iter(attributes))}")


def test_precomputed_states_its_type(tmp_path: Path) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{tmp_path}/a/",
        "multiscale_metadata": {"type": "segmentation", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {"size": EM.shape[::-1], "resolution": [4, 4, 40], "encoding": "raw"},
    }
    ts.open(spec, create=True).result().write(EM.T[..., np.newaxis]).result()
    source = Precomputed.open(str(tmp_path / "a"))
    assert (source.kind, source.kind_source) == ("segmentation", "file: info type")
