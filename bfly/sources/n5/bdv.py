"""BigDataViewer's N5: its voxel size is in the XML beside the N5, unit included.

The groups are ``setupN/timepointM``, as ``WriteSequenceToN5`` of bigdataviewer-core writes them.
Their attribute ``resolution`` repeats the numbers without the unit, which is usually micrometres.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.units import nanometres, sizes
from bfly.storage.limits import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["is_bdv", "size_in_xml"]

_GROUP = re.compile(r"(?P<container>.+)/setup(?P<setup>[0-9]{1,9})/timepoint[0-9]{1,9}/?")

MOST_XML = 16
"""XML files beside an N5 that are searched for the one that names it."""


def is_bdv(path: str) -> bool:
    """Return whether a path is that of a setup and a time point of BigDataViewer."""
    return _GROUP.fullmatch(path) is not None


def size_in_xml(
    path: str, files: Files, watch: Callable[[str], None]
) -> tuple[VoxelSize, str] | None:
    """Return the voxel size that the XML of a dataset states for a setup.

    Parameters
    ----------
    path : str
        Folder of the time point.
    files : Files
        Access to the XML.
    watch : callable
        Called with the path of each XML before it is opened.

    Returns
    -------
    tuple, optional
        Nanometres (z, y, x), and the name of the element; None if no XML names this N5, or it
        states no length.
    """
    match = _GROUP.fullmatch(path)
    if match is None:
        return None
    container, setup = match["container"], int(match["setup"])
    for xml in _beside(container):
        watch(xml)
        try:
            data = files.read_bytes(xml, METADATA)
            if b"<!DOCTYPE" in data.replace(b"\0", b""):
                continue
            found = _parsed(data, os.path.basename(container), setup)
        except (OSError, NotAllowed, SourceError, ElementTree.ParseError, ValueError):
            continue
        if found:
            return found, f"voxelSize in {os.path.basename(xml)}"
    return None


def _beside(container: str) -> Iterator[str]:
    """Yield the XML files in the folder of an N5, that with its name first."""
    folder, name = os.path.split(container)
    first = f"{os.path.splitext(name)[0]}.xml"
    try:
        with os.scandir(folder or ".") as entries:
            names = {entry.name for entry in entries if entry.name.lower().endswith(".xml")}
    except OSError:
        return
    for each in sorted(names, key=lambda name: (name != first, name))[:MOST_XML]:
        yield os.path.join(folder, each)


def _parsed(data: bytes, container: str, setup: int) -> VoxelSize | None:
    """Return the size of a setup's voxels from an XML, if that XML is about the container."""
    size, names_it = None, False
    for _, element in ElementTree.iterparse(io.BytesIO(data)):
        if element.tag == "n5":
            names_it = os.path.basename((element.text or "").strip().rstrip("/")) == container
        elif element.tag == "ViewSetup":
            if (element.findtext("id") or "").strip() == str(setup):
                size = _size(element)
            element.clear()
    return size if names_it else None


def _size(setup: ElementTree.Element) -> VoxelSize | None:
    numbers = (setup.findtext("voxelSize/size") or "").split()
    unit = nanometres(setup.findtext("voxelSize/unit") or "")
    if len(numbers) != 3:
        return None
    return sizes((float(number) for number in reversed(numbers)), unit)
