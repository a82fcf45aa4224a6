"""Meshes, skeletons and annotations stored with a volume, as far as they fit the channel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bfly.volumes.volume import Volume

__all__ = ["offered_annotations", "offered_layers"]

log = logging.getLogger(__name__)


def offered_layers(volume: Volume) -> dict[str, str]:
    """Return the folders that an ``info`` names, by its key: ``mesh``, ``skeletons`` and others.

    Positions in these files are nanometres. If the configuration moves the channel, or states
    another voxel size than the file, only the ``segment_properties`` still fit.
    """
    layers = volume.source.layers
    named = layers.named if layers else {}
    if _is_in_place(volume):
        return dict(named)
    left = {key: folder for key, folder in named.items() if key == "segment_properties"}
    if left != named:
        log.info(
            "%s: its meshes and skeletons are not offered, since the configuration moves it or "
            "states another voxel size.",
            volume.spec.path,
        )
    return left


def offered_annotations(volume: Volume) -> list[str]:
    """Return the folders of annotations; none if they would be in wrong places.

    Of several channels of a file only the first has them.
    """
    layers = volume.source.layers
    is_offered = layers and not volume.source.part and _is_in_place(volume)
    return layers.annotations if layers and is_offered else []


def _is_in_place(volume: Volume) -> bool:
    """Return whether the channel has the position and the voxel size that its file states."""
    layers, spec = volume.source.layers, volume.spec
    stated = layers.voxel_size if layers else None
    return not any(spec.voxel_offset) and spec.voxel_size in (None, stated)
