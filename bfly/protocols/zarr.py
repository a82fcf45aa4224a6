"""OME-Zarr 0.4 (zarr v2) and 0.5 (zarr v3): multiscale images and labels, and plain arrays.

The formats: https://zarr-specs.readthedocs.io and https://ngff.openmicroscopy.org. OME-Zarr
says where the centre of a voxel lies, in nanometres.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.encoders.zstd import ZSTD_LEVEL
from bfly.protocols.pyramid import (
    NUMBER,
    DocumentQuery,
    Pyramid,
    block_shape,
    centre,
)

if TYPE_CHECKING:
    from bfly.volume import Volume

__all__ = ["Zarr2", "Zarr2Query", "Zarr3", "Zarr3Query"]

AXES = ["z", "y", "x"]

_BLOCK = f"(?P<z>{NUMBER})/(?P<y>{NUMBER})/(?P<x>{NUMBER})"


class Zarr2Query(DocumentQuery):
    """A request for one of ``.zgroup``, ``.zattrs``, ``.zmetadata``, ``MIP/.zarray``, …."""

    @property
    @override
    def documents(self) -> dict[str, Any]:
        """The group of OME-Zarr 0.4, its arrays, and all of these in one."""
        volume = self.volume
        attributes: dict[str, Any] = {
            "multiscales": [{"version": "0.4", **_multiscale(volume, self.name)}]
        }
        if volume.kind == "segmentation":
            attributes["image-label"] = {"version": "0.4"}
        files: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
        for mip in range(volume.levels):
            files[f"{mip}/.zarray"] = self._array(volume, mip)
            files[f"{mip}/.zattrs"] = {"_ARRAY_DIMENSIONS": AXES, **_units(volume, mip)}
        return {**files, ".zmetadata": {"zarr_consolidated_format": 1, "metadata": files}}

    def _array(self, volume: Volume, mip: int) -> dict[str, Any]:
        return {
            "zarr_format": 2,
            "shape": volume.level(mip).whole.shape,
            "chunks": block_shape(volume, 0),
            "dtype": volume.dtype.newbyteorder("<").str,
            "compressor": {"id": "zstd", "level": ZSTD_LEVEL},
            "filters": None,
            "fill_value": 0,
            "order": "C",
            "dimension_separator": "/",
        }


class Zarr3Query(DocumentQuery):
    """A request for ``zarr.json`` or ``MIP/zarr.json``."""

    @property
    @override
    def documents(self) -> dict[str, Any]:
        """The group of OME-Zarr 0.5, with its arrays' metadata in it, and its arrays."""
        volume = self.volume
        ome: dict[str, Any] = {"version": "0.5", "multiscales": [_multiscale(volume, self.name)]}
        if volume.kind == "segmentation":
            ome["image-label"] = {}
        arrays = {str(mip): self._array(volume, mip) for mip in range(volume.levels)}
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": ome},
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": arrays,
            },
        }
        return {
            "zarr.json": group,
            **{f"{mip}/zarr.json": array for mip, array in arrays.items()},
        }

    def _array(self, volume: Volume, mip: int) -> dict[str, Any]:
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": volume.level(mip).whole.shape,
            "data_type": volume.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": block_shape(volume, 0)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}},
            ],
            "fill_value": 0,
            "dimension_names": AXES,
            "attributes": _units(volume, mip),
        }


class Zarr2(Pyramid):
    """``/zarr/…/MIP/Z/Y/X``; the separator is the one that OME-Zarr recommends."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr",)
    document = Zarr2Query
    block = re.compile(f"(?P<mip>{NUMBER})/{_BLOCK}")
    format = "zstd"


class Zarr3(Pyramid):
    """``/zarr3/…/MIP/c/Z/Y/X``."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr3",)
    document = Zarr3Query
    block = re.compile(f"(?P<mip>{NUMBER})/c/{_BLOCK}")
    format = "zstd"


def _multiscale(volume: Volume, name: str) -> dict[str, Any]:
    """Describe all mips as both versions do."""
    return {
        "name": name,
        "type": "mean" if volume.kind == "image" else "mode",
        "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in AXES],
        "datasets": [
            {
                "path": str(mip),
                "coordinateTransformations": [
                    {"type": "scale", "scale": volume.voxel_size_at(mip)},
                    {"type": "translation", "translation": centre(volume, mip)},
                ],
            }
            for mip in range(volume.levels)
        ],
    }


def _units(volume: Volume, mip: int) -> dict[str, Any]:
    """Say how large a voxel is to those who open an array alone: Neuroglancer, TensorStore."""
    return {"dimension_units": [f"{size} nm" for size in volume.voxel_size_at(mip)]}
