"""Names of files and folders that are no channels, whatever is in them."""

from __future__ import annotations

__all__ = ["METADATA", "SYSTEM", "THUMBNAILS"]

METADATA = (
    "neuron-soma.json",
    "synapse-connections.json",
    "attributes.json",
    "zarr.json",
    "datasource-properties.json",
)
"""Metadata files of a dataset, or of a group of arrays."""

SYSTEM = {
    "@eadir",
    "#recycle",
    "@recycle",
    "@recently-snapshot",
    "__macosx",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "desktop.ini",
}
"""Files and folders of storage servers (Synology, QNAP), macOS, Windows and Linux, in lower case.
Like hidden ones, they are passed over."""

THUMBNAILS = {"thumb", "thumbs", "thumbnail", "thumbnails"}
"""Folders of small copies of images, in lower case."""
