"""Search of an HDF5 file for datasets that may be volumes, also behind links to other files."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import h5py

from bfly.errors import NotAllowed, SourceError
from bfly.sources.hdf5.entry import PARTS, Entry
from bfly.sources.hdf5.file import LINKS, OBJECTS, Place, follow, is_unbounded, open_h5

if TYPE_CHECKING:
    from typing import Any

    from bfly.storage.files import Files

__all__ = ["DAMAGE", "IMAGES", "Found", "datasets_of", "identity", "names_of"]

log = logging.getLogger(__name__)

LINKED = 1000
"""Maximum number of links to other files that are followed."""

NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
"""Classes of types of voxels; booleans are enumerations."""

IMAGES = re.compile(r"(.+)/data_(\d{6})")
"""Names of the images of Eiger: their group and number."""

HELPERS = {"unique-labels", "label-to-block-mapping", "fragment-segment-assignment"}
"""Groups of tables that Paintera puts beside labels."""

HELPERS |= {"#refs#", "#subsystem#"}
"""Groups of MATLAB with the contents of cells and objects."""

DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""Errors of the library for damaged files."""


class Found(NamedTuple):
    """A dataset that may be a volume.

    Parameters
    ----------
    entry : Entry
        It as a volume; the name is its path from the file where the search began.
    shape : tuple of int
        Its shape; empty if the file behind its link cannot be opened.
    identity : tuple
        The file that holds it and its address there.
    is_linked : bool
        Whether a link leads to it.
    """

    entry: Entry
    shape: tuple[int, ...]
    identity: tuple[str, int] | None
    is_linked: bool


def datasets_of(files: Files, path: str, file: Any) -> list[Found]:
    """Return the datasets of three or more axes of numbers, each once, sorted by name.

    At most `OBJECTS` objects are looked at, `LINKED` links followed and `PARTS` datasets returned;
    the log reports what is left out.

    Parameters
    ----------
    files : Files
        Access to files.
    path : str
        The file where the search starts.
    file : h5py.File
        The same file, open.
    """
    search = _Search(files)
    search.group(file, path, "/", "")
    while search.pending:
        place, prefix = search.pending.pop()
        with open_h5(files, place.path) as (other, _):
            search.group(other, *place, prefix)
    found = sorted(search.found, key=lambda each: each.entry.name)
    if min(search.objects, search.links, PARTS - len(found)) < 0:
        log.warning("%s has too many objects or links; only some of its volumes are listed.", path)
    return found[:PARTS]


def identity(item: Any, real: str) -> tuple[str, int]:
    """Return the file that holds a dataset or group and its address there, shared by its names.

    Parameters
    ----------
    item : h5py.h5d.DatasetID or h5py.h5g.GroupID
        The dataset or group, open.
    real : str
        The file that holds it, with links resolved.
    """
    return real, h5py.h5o.get_info(item).addr


def names_of(file: Any) -> list[str]:
    """Return the names of the datasets of any kind in an open file, sorted."""
    root = file["/"].id
    return sorted(_objects(root, OBJECTS)[0])


class _Search:
    """Search of one file, and of those that its links lead to.

    Attributes
    ----------
    pending : list
        Groups to search, and the path of each from the first file, with a slash.
    found : list of Found
        The result.
    objects, links : int
        How many more may be looked at; below 0 if some were left out.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen: set[tuple[str, int]] = set()
        self.pending: list[tuple[Place, str]] = []
        self.found: list[Found] = []
        self.objects, self.links = OBJECTS, LINKED

    def group(self, file: Any, path: str, inner: str, prefix: str) -> None:
        """Search a group of an open file; its path from the first file is "" or ends with ``/``."""
        group, real = file[inner].id, os.path.realpath(path)
        if not self._is_new(identity(group, real)):
            return
        external, soft = _links(group, self.links)
        # Images of Eiger are numbered by the names of their links, not by those behind them.
        images = [name for name in soft if IMAGES.fullmatch(f"{prefix}{name}")]
        self._follow_all(images[: self.links + 1], path, inner, prefix)
        names, count = _objects(group, self.objects)
        self.objects -= count
        for name in sorted(names):
            if len(self.found) <= PARTS:
                self._add(group, name, real, f"{prefix}{name}", is_linked=bool(prefix))
        # In the first file, what is behind a soft link was found under its own name.
        self._follow_all(external, path, inner, prefix)
        self._follow_all(soft[: self.links + 1] if prefix else [], path, inner, prefix)

    def _follow_all(self, names: list[str], path: str, inner: str, prefix: str) -> None:
        for name in names:
            self.links -= 1
            if self.links >= 0:
                self._follow(path, f"{inner.rstrip('/')}/{name}", f"{prefix}{name}")

    def _is_new(self, known: tuple[str, int]) -> bool:
        """Return whether an object was not seen under another name."""
        is_new = known not in self._seen
        self._seen.add(known)
        return is_new

    def _add(self, group: Any, inner: str, real: str, name: str, *, is_linked: bool) -> None:
        """Add a dataset of a file, whose links are resolved, if it may be a volume."""
        with suppress(*DAMAGE):
            item = h5py.h5d.open(group, inner.encode())
            is_volume = item.rank >= 3 and item.get_type().get_class() in NUMBERS
            if not is_volume or is_unbounded(item.get_create_plist()):
                return
            if min(item.shape) < 1 or HELPERS & {*name.split("/")}:
                return
            if self._is_new(known := identity(item, real)):
                entry = Entry.of(name, h5py.Dataset(item), real)
                self.found.append(Found(entry, item.shape, known, is_linked))

    def _follow(self, path: str, inner: str, name: str) -> None:
        """Add what a link leads to."""
        try:
            target = follow(self._files, path, inner, lambda _path: None)
        except (NotAllowed, SourceError) as error:
            log.warning("%s: the link %s cannot be followed: %s", path, inner, error)
            # It may have led through many files.
            self.links -= LINKS
            self.found.append(Found(Entry(name), (), None, is_linked=True))
            return
        if target is None:
            if IMAGES.fullmatch(name):
                self.found.append(Found(Entry(name), (), None, is_linked=True))
            return
        place, is_dataset = target
        if not is_dataset:
            self.pending.append((place, f"{name}/"))
            return
        with open_h5(self._files, place.path) as (file, _):
            real = os.path.realpath(place.path)
            self._add(file.id, place.name, real, name, is_linked=True)


def _objects(group: Any, most: int) -> tuple[list[str], int]:
    """Return the names of the datasets below a group, each once, and the number of objects.

    Parameters
    ----------
    group : h5py.h5g.GroupID
        The group.
    most : int
        Maximum number of objects; after one more, the search ends.
    """
    names: list[str] = []
    count = 0

    def note(name: bytes, info: Any) -> bool | None:
        nonlocal count
        count += 1
        if info.type == h5py.h5o.TYPE_DATASET:
            # A name that is no UTF-8 cannot be in the path of a channel.
            with suppress(UnicodeDecodeError):
                names.append(name.decode())
        return True if count > most else None

    # Opening the dataset raises a clearer error for a damaged group.
    with suppress(*DAMAGE):
        h5py.h5o.visit(group, note, info=True)
    return names, count


def _links(group: Any, most: int) -> tuple[list[str], list[str]]:
    """Return the names of the links below a group: to other files, at most one too many, and soft.

    Soft links are part of the group, so there are no more than its file has room for.
    """
    names: dict[int, list[str]] = {h5py.h5l.TYPE_EXTERNAL: [], h5py.h5l.TYPE_SOFT: []}
    external, soft = names.values()

    def note(name: bytes, info: Any) -> bool | None:
        if info.type in names:
            with suppress(UnicodeDecodeError):
                names[info.type].append(name.decode())
        return True if len(external) > most else None

    with suppress(*DAMAGE):
        group.links.visit(note, info=True)
    return sorted(external), sorted(soft)
