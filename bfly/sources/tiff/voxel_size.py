"""The voxel size that a TIFF file states: OME-XML, ImageJ's description, resolution tags."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bfly.errors import SourceError
from bfly.sources.shared.units import nanometres, sizes
from bfly.sources.tiff.lsm import lsm_voxel_size
from bfly.storage.limits import check_number

if TYPE_CHECKING:
    from typing import Any

    import tifffile

__all__ = ["check_description", "voxel_size"]

ELEMENTS = 1 << 20
"""Most elements of OME-XML: each takes up to a kilobyte of memory; a page needs one."""

COARSEST = 1e4
"""Nanometres: coarser pixels are those of a printer, such as 72 or 300 per inch."""

UNITS = {"INCH": 2.54e7, "CENTIMETER": 1e7, "MILLIMETER": 1e6, "MICROMETER": 1e3}
"""Nanometres of each ResolutionUnit, by tifffile's names."""

Found = tuple[tuple[float, float, float], str]


def voxel_size(tiff: tifffile.TiffFile) -> Found | None:
    """Find the voxel size of a file.

    Returns
    -------
    tuple, optional
        Nanometres (z, y, x), and the part of the file that states them.

    Raises
    ------
    ElementTree.ParseError, ValueError
        The description is damaged.
    """
    if tiff.is_ome:
        return _ome(tiff.ome_metadata)
    if tiff.is_imagej:
        return _imagej(tiff)
    if tiff.is_lsm:
        return lsm_voxel_size(tiff)
    return _tags(tiff)


def check_description(tiff: tifffile.TiffFile, path: str) -> None:
    """Raise `SourceError` if a description has too many elements, or a document type."""
    description = tiff.pages[0].description
    check_number(path, description.count("<"), ELEMENTS, "elements in its description")
    if tiff.is_ome and "<!DOCTYPE" in description:
        raise SourceError(f"{path} has a document type in its OME-XML; it is not allowed.")


def _ome(text: str) -> Found | None:
    pixels = ElementTree.fromstring(text).find(".//{*}Pixels")
    if pixels is None:
        return None
    lengths = []
    for axis in "ZYX":
        length = pixels.get(f"PhysicalSize{axis}")
        # The schema's default.
        unit = nanometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if length is None or unit is None:
            return None
        lengths.append(float(length) * unit)
    found = sizes(lengths, 1.0)
    return (found, "OME PhysicalSize") if found else None


def _imagej(tiff: tifffile.TiffFile) -> Found | None:
    described: dict[str, Any] = tiff.imagej_metadata or {}
    unit = nanometres(described.get("unit"))
    across = _pixel(tiff)
    if across is None:
        return None
    # ImageJ omits a spacing of sections of 1.
    found = sizes((described.get("spacing", 1.0), *across), unit)
    return (found, "ImageJ unit, spacing and resolution") if found else None


def _tags(tiff: tifffile.TiffFile) -> Found | None:
    """Return the voxel size in the tags of the first page; z is y, since no tag states z."""
    tag = tiff.pages[0].tags.get("ResolutionUnit")
    unit = UNITS.get(getattr(tag.value, "name", "")) if tag else None
    across = _pixel(tiff)
    if across is None or unit is None:
        return None
    found = sizes((across[0], *across), unit)
    if found is None or max(found) > COARSEST:
        return None
    return found, "resolution tags, z as y"


def _pixel(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Return the height and width of a pixel in units; the tags hold pixels per unit."""
    lengths = []
    for name in ("YResolution", "XResolution"):
        tag = tiff.pages[0].tags.get(name)
        if tag is None or 0 in tag.value:
            return None
        above, below = tag.value
        lengths.append(below / above)
    return lengths[0], lengths[1]
