"""Loaders of BigDataViewer: the file or folder that holds the voxels of a view."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bfly.errors import SourceError
from bfly.sources.hdf5.source import HDF5
from bfly.sources.n5.source import N5
from bfly.sources.shared.kvstore import check_name
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import is_url
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from bfly.sources.source import Datasource

__all__ = ["Loader", "loader_of", "place_of"]

CONTAINERS = {
    "bdv.hdf5": "hdf5",
    "bdv.n5": "n5",
    "bdv.multimg.zarr": "zarr",
    "bdv.ome.zarr": "zarr",
}
"""Element with the path of the voxels, by the format of the loader."""


@dataclass
class Loader:
    """Where the voxels of a dataset are.

    Parameters
    ----------
    format : str
        One of `CONTAINERS`.
    container : str
        Path or URL of the file or folder with the voxels, as the XML states it.
    partitions : list of str
        Files that an HDF5 container links to.
    groups : mapping
        For each view in ``bdv.multimg.zarr``: the path of an image below the container, and the
        places on its axes of channel and time.
    """

    format: str
    container: str
    partitions: list[str] = field(default_factory=list)
    groups: dict[tuple[int, int], tuple[str, list[int]]] = field(default_factory=dict)

    def settle(self, folder: str) -> None:
        """Make the paths absolute, which are relative to a folder."""
        self.container = place_of(self.container, folder)
        self.partitions = [place_of(path, folder) for path in self.partitions]

    def place(self, setup: int, time: int) -> tuple[type[Datasource], str, Part]:
        """Return the format, the path and the part of the voxels of a view.

        Raises
        ------
        SourceError, NotAllowed
            The XML names no image for the view, or one outside the container.
        """
        match self.format:
            case "bdv.hdf5":
                return HDF5, self.container, Part(f"t{time:05}/s{setup:02}")
            case "bdv.n5":
                return N5, f"{self.container}/setup{setup}/timepoint{time}", WHOLE
            case "bdv.ome.zarr":
                return Zarr, self.container, _on_axes([setup, time])
        if (setup, time) not in self.groups:
            raise SourceError(f"{self.container}: no zgroup is of setup {setup}, time {time}.")
        path, indexes = self.groups[setup, time]
        check_name(path, self.container)
        return Zarr, f"{self.container}/{path}", _on_axes(indexes)


def loader_of(element: Element) -> Loader:
    """Return what an ``ImageLoader`` states.

    Raises
    ------
    SourceError
        Its format is another one, or it names no container.
    ValueError, LookupError
        Its groups are damaged.
    """
    form = element.get("format", "")
    tag = CONTAINERS.get(form)
    if tag is None:
        raise SourceError(f"its loader is {form!r:.80}; allowed are {', '.join(CONTAINERS)}")
    container = (element.findtext(tag) or "").strip()
    if not container:
        raise SourceError(f"its loader has no element {tag} with a path")
    if bucket := (element.findtext("s3bucket") or "").strip():
        container = f"s3://{bucket}/{container.strip('/')}"
    partitions = [(each.findtext("path") or "").strip() for each in element.iter("partition")]
    loader = Loader(form, container, list(filter(None, partitions)))
    for group in element.iter("zgroup"):
        time = group.get("tp") or group.attrib["timepoint"]
        path = group.get("path") or (group.findtext("path") or "").strip()
        indexes = group.get("indicies", "").strip("[] ").replace(",", " ").split()
        loader.groups[int(group.attrib["setup"]), int(time)] = path, list(map(int, indexes))
    return loader


def place_of(path: str, folder: str) -> str:
    """Return a path of an XML as an absolute one, or as a URL; relative ones begin in a folder."""
    if is_url(path):
        return path.rstrip("/")
    if path.startswith("file:"):
        path = unquote(path.removeprefix("file:").removeprefix("//"))
    return os.path.normpath(os.path.join(folder, path.replace("\\", "/")))


def _on_axes(indexes: list[int]) -> Part:
    pairs = zip("ct", indexes, strict=False)
    return Part("", tuple((axis, str(index)) for axis, index in pairs if index))
