"""BigDataViewer's datasets: the voxel size is in the XML beside the N5 or HDF5, unit included."""

from __future__ import annotations

import io
import logging
import os
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.units import nanometres, sizes
from bfly.storage.limits import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["read_xml", "size_in_xml", "size_of"]

log = logging.getLogger(__name__)

CONTAINERS = ("n5", "hdf5")
"""Elements that name the folder or file with the voxels."""

MOST_XML = 16
"""XML files beside the voxels that are searched for the one that names them."""


def size_in_xml(
    container: str, setup: int, files: Files, watch: Callable[[str], None]
) -> tuple[VoxelSize, str] | None:
    """Return the voxel size that the XML of a dataset states for a setup.

    Parameters
    ----------
    container : str
        The N5 folder, or the HDF5 file.
    setup : int
        Number of the setup.
    files : Files
        Access to the XML.
    watch : callable
        Called with the path of each XML before it is opened.

    Returns
    -------
    tuple, optional
        Nanometres (z, y, x), and the name of the element; None if no XML names the container,
        or it states no length.
    """
    for xml in _beside(container):
        watch(xml)
        try:
            found = _parsed(read_xml(xml, files), os.path.basename(container), setup)
        except NotAllowed:
            continue
        except (OSError, SourceError, ElementTree.ParseError, LookupError, ValueError) as error:
            log.warning("%s is not read for the voxel size: %s", xml, error)
            continue
        if found:
            return found, f"voxelSize in {os.path.basename(xml)}"
    return None


def read_xml(path: str, files: Files) -> bytes:
    """Return the content of an XML without a document type.

    Only a document type can declare entities, which may expand without bound.

    Raises
    ------
    SourceError, NotAllowed, OSError
        It cannot be read, or has a document type.
    """
    data = files.read_bytes(path, METADATA)
    if b"<!DOCTYPE" in data.replace(b"\0", b""):
        raise SourceError("it has a document type, which is not allowed")
    return data


def _beside(container: str) -> Iterator[str]:
    """Yield the XML files in the folder of a container, that with its name first."""
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
        if element.tag in CONTAINERS:
            names_it = os.path.basename((element.text or "").strip().rstrip("/")) == container
        elif element.tag == "ViewSetup":
            if (element.findtext("id") or "").strip() == str(setup):
                size = size_of(element)
            element.clear()
    return size if names_it else None


def size_of(setup: ElementTree.Element) -> VoxelSize | None:
    """Return the nanometres (z, y, x) that a ``ViewSetup`` states; None without a unit of length.

    Raises
    ------
    ValueError
        Its ``size`` is not numbers.
    """
    numbers = (setup.findtext("voxelSize/size") or "").split()
    unit = nanometres(setup.findtext("voxelSize/unit") or "")
    if len(numbers) != 3:
        return None
    return sizes((float(number) for number in reversed(numbers)), unit)
