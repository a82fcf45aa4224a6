"""The voxels and the description of a segmentation for graphene clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from typing_extensions import override

from bfly.encoders.unsigned import as_unsigned
from bfly.errors import BadRequest
from bfly.protocols.precomputed import ChunkQuery, VolumeQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["GrapheneChunkQuery", "GrapheneVolumeQuery"]

WIDE = np.dtype(np.uint64)


def _check_kind(volume: Volume) -> None:
    if volume.kind != "segmentation":
        raise BadRequest(
            f"{volume.spec.path} is an image; only a segmentation is served as graphene."
        )


class GrapheneVolumeQuery(VolumeQuery):
    """A request for the ``info`` of a segmentation.

    Attributes
    ----------
    address, table : str
        Address of the server as the client sees it, and the name of the channel.
    edits : str
        Address of the channel below ``/api/edits``.
    bits : int
        Bits below the layer of an id (see `GrapheneIds`); set by the core.
    """

    lasting = False
    encoding = "compressed_segmentation"
    address = ""
    table = ""
    edits = ""
    bits = 0

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        _check_kind(self.volume)

    @override
    def check_encoding(self, volume: Volume) -> None:
        """Accept all segmentations: they are sent as uint64."""

    @override
    def sent(self, volume: Volume) -> np.dtype[Any]:
        return WIDE

    @property
    @override
    def result(self) -> dict[str, Any]:
        """The ``info``, with the graph of one chunk: lists of supervoxels are whole."""
        info = super().result
        info.pop("skeletons", None)
        info.pop("segment_properties", None)
        if not self.has_meshes:
            info.pop("mesh", None)
        else:
            info |= {"mesh": "mesh", "mesh_metadata": {"uniform_draco_grid_size": 1.0}}
        level = self.volume.level(0)
        size = level.whole.shape[::-1]
        return info | {
            "app": {"supported_api_versions": [0, 1]},
            "data_dir": f"{self.address}/segmentation/data/{self.table}",
            "graph": {
                "bounding_box": list(size),
                "chunk_size": list(size),
                "cv_mip": 0,
                "n_bits_for_layer_id": 64 - self.bits,
                "n_layers": 2,
                "spatial_bit_masks": {"1": 0, "2": 0},
            },
            "chunks_start_at_voxel_offset": True,
            # For the page of Butterfly; clients leave out what they do not know.
            "edits": f"{self.address}/api/edits/{quote(self.edits)}",
        }


class GrapheneChunkQuery(ChunkQuery):
    """A request for a chunk of supervoxels, as graphene clients see their ids."""

    encoding = "compressed_segmentation"
    tag = 0
    """What is added to each label; set by the core."""

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        _check_kind(self.volume)
        self.plain = False

    @override
    def check_encoding(self, volume: Volume) -> None:
        """Accept all segmentations: they are sent as uint64."""

    @override
    def sent(self, volume: Volume) -> np.dtype[Any]:
        return WIDE

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        labels = as_unsigned(voxels, f"{self.path} is sent as graphene, which").astype(WIDE)
        labels[labels > 0] += WIDE.type(self.tag)
        return labels
