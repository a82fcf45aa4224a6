"""N5 for Neuroglancer, CloudVolume and n5-viewer: a folder of scale levels ``s0``, ``s1``, ….

The format: https://github.com/saalfeldlab/n5. Its order is x, y, z, but for ``transform``. Each
program reads the voxel size from another attribute, so the attributes repeat it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.encoders.encoder import LEVEL
from bfly.protocols.chunk_grid import (
    NUMBER,
    ChunkGrid,
    DocumentQuery,
    block_shape,
    centre,
)

if TYPE_CHECKING:
    from bfly.volumes.volume import Volume

__all__ = ["N5", "N5Query"]

AXES = ["x", "y", "z"]


class N5Query(DocumentQuery):
    """A request for ``attributes.json`` or ``sMIP/attributes.json``."""

    @property
    @override
    def documents(self) -> dict[str, Any]:
        """Attributes of the group and of its arrays."""
        volume = self.volume
        mips = range(volume.levels)
        group = {
            "n5": "2.5.0",
            "multiScale": True,
            "downsamplingFactors": [volume.level(mip).factor[::-1] for mip in mips],
            **_space(volume, 0),
        }
        arrays = {f"s{mip}/attributes.json": self._array(volume, mip) for mip in mips}
        return {"attributes.json": group, **arrays}

    def _array(self, volume: Volume, mip: int) -> dict[str, Any]:
        return {
            "dimensions": volume.level(mip).whole.shape[::-1],
            "blockSize": block_shape(volume, 0)[::-1],
            "dataType": volume.dtype.name,
            "compression": {"type": "gzip", "level": LEVEL, "useZlib": False},
            **_space(volume, mip),
            # The only attribute that holds the position of the array. COSEM, n5-viewer and
            # worldarray read it in C order, unlike all others.
            "transform": {
                "ordering": "C",
                "axes": AXES[::-1],
                "units": [_unit(volume)] * 3,
                "scale": volume.voxel_size_at(mip),
                "translate": centre(volume, mip),
            },
        }


class N5(ChunkGrid):
    """``/n5/…/sMIP/X/Y/Z``; blocks are cropped to the volume."""

    prefixes: ClassVar[tuple[str, ...]] = ("n5",)
    document = N5Query
    block = re.compile(f"s(?P<mip>{NUMBER})/(?P<x>{NUMBER})/(?P<y>{NUMBER})/(?P<z>{NUMBER})")
    format = "n5"
    cropped = True


def _space(volume: Volume, mip: int) -> dict[str, Any]:
    size = volume.voxel_size_at(mip)[::-1]
    return {
        "axes": AXES,
        "units": [_unit(volume)] * 3,
        "resolution": size,
        "pixelResolution": {"dimensions": size, "unit": _unit(volume)},
    }


def _unit(volume: Volume) -> str:
    """Return the unit of lengths; "", as Neuroglancer has it, if the voxel size is unknown."""
    return "nm" if volume.has_voxel_size else ""
