"""The XML of BigDataViewer: what voxels there are, where, and of what size.

The format: https://imagej.net/plugins/bdv and https://github.com/bigdataviewer/spimdata.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.bdv.loader import Loader, loader_of, place_of
from bfly.sources.bdv.times import times_of
from bfly.sources.shared.bdv import read_xml, size_of
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["ROOT", "Document", "Setup", "View", "read"]

ROOT = "SpimData"
"""Element that the XML consists of."""

View = tuple[int, int]
"""A setup, and a time point, by the numbers that the XML gives them."""


@dataclass(frozen=True)
class Setup:
    """A view setup: a camera, a channel, a tile.

    Parameters
    ----------
    number : int
        Its id.
    name : str
        As viewers show it; "" if it has none.
    shape : tuple of int, optional
        Voxels (z, y, x), as the XML states them.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x).
    """

    number: int
    name: str
    shape: Zyx | None
    voxel_size: VoxelSize | None


@dataclass
class Document:
    """What an XML states.

    Parameters
    ----------
    path : str
        The XML.

    Attributes
    ----------
    loader : Loader
        Where the voxels are.
    setups : list of Setup
        In the order of the XML.
    times : sequence of int
        Time points.
    missing : set of View
        Views that were not taken.
    transforms : mapping
        The affine transforms of a view, of 12 numbers each, the outermost first; None for one of
        another type.
    """

    path: str
    base: str = "."
    loader: Loader = field(default_factory=lambda: Loader("", ""))
    setups: list[Setup] = field(default_factory=list)
    times: Sequence[int] = (0,)
    missing: set[View] = field(default_factory=set)
    transforms: Mapping[View, list[list[float] | None]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each setup in a path: its own if all are distinct and fit, or else its number."""
        own = [setup.name for setup in self.setups]
        fit = len({*own}) == len(own) and all(map(_is_fit, own))
        return {
            setup.number: setup.name if fit else f"setup{setup.number}" for setup in self.setups
        }

    def views(self) -> Iterator[tuple[Part, View]]:
        """Yield the views, time by time, with the part that names each; the default one first."""
        for index, time in enumerate(self.times):
            for setup in self.setups:
                if (setup.number, time) not in self.missing:
                    indexes = (("t", str(index)),) if index else ()
                    name = self.names[setup.number] if setup is not self.setups[0] else ""
                    yield Part(name, indexes), (setup.number, time)


def read(path: str, files: Files) -> Document:
    """Read the XML of a dataset.

    Raises
    ------
    SourceError
        It is not the XML of a dataset; the message names it and the reason.
    NotAllowed
        It is outside the allowed folders.
    """
    try:
        data = read_xml(path, files)
        document = Document(path)
        for _, element in ElementTree.iterparse(io.BytesIO(data)):
            if _note(document, element):
                element.clear()
        if element.tag != ROOT:
            raise SourceError(f"it is {element.tag!r:.80}, not {ROOT}")
        if not document.loader.container or not document.setups:
            raise SourceError("it has no ImageLoader or no ViewSetup")
        if len({setup.number for setup in document.setups}) < len(document.setups):
            raise SourceError("two of its setups have the same id")
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist.") from None
    except (SourceError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as the XML of BigDataViewer: {error}.") from error
    folder = os.path.dirname(path)
    document.loader.settle(place_of(document.base, folder))
    return document


def _note(document: Document, element: ElementTree.Element) -> bool:
    """Add what an element states; return whether its content is no longer needed."""
    match element.tag:
        case "BasePath":
            document.base = (element.text or "").strip()
        case "ImageLoader":
            document.loader = loader_of(element)
        case "ViewSetup":
            document.setups.append(_setup(element))
        case "Timepoints":
            document.times = times_of(element)
        case "MissingView":
            document.missing.add(_view(element))
        case "ViewRegistration":
            listed = map(_transform, element.iter("ViewTransform"))
            document.transforms[_view(element)].extend(listed)
        case _:
            return False
    return True


def _setup(element: ElementTree.Element) -> Setup:
    size = (element.findtext("size") or "").split()
    shape = zyx(map(int, reversed(size))) if len(size) == 3 else None
    number = int(element.findtext("id") or "0")
    return Setup(number, (element.findtext("name") or "").strip(), shape, size_of(element))


def _view(element: ElementTree.Element) -> View:
    return int(element.attrib["setup"]), int(element.attrib["timepoint"])


def _transform(element: ElementTree.Element) -> list[float] | None:
    """Return the numbers of an affine transform; None for one of another type."""
    numbers = (element.findtext("affine") or "").split()
    if element.get("type", "affine") != "affine" or len(numbers) != 12:
        return None
    return [float(number) for number in numbers]


def _is_fit(name: str) -> bool:
    """Return whether a name can be a part of a path, and says more than a number."""
    is_plain = name.isprintable() and not {*name} & {*"#/:"}
    return is_plain and not name.isdecimal() and Part.parse(name) == Part(name)
