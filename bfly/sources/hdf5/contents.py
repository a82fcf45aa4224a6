"""Volumes in an HDF5 file: its datasets of three or more axes, those behind links included.

Some volumes are several datasets: the setups of BigDataViewer with their coarser levels, the
levels ``s0``, ``s1`` … of a group, and the images ``data_000001`` … behind the links of an Eiger
master file (Dectris, EIGER file format), which continue along z.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import NotAllowed, SourceError
from bfly.sources.hdf5 import bdv, imaris
from bfly.sources.hdf5.datasets import DAMAGE, IMAGES, datasets_of, identity, names_of
from bfly.sources.hdf5.entry import Entry
from bfly.sources.hdf5.file import Place, locate, open_h5
from bfly.sources.hdf5.groups import grouped
from bfly.sources.hdf5.plain import MAIN, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.storage.files import Files

    Watch = Callable[[str], None]

__all__ = ["Located", "entries", "images_beside", "volume"]

log = logging.getLogger(__name__)

MASTER = "_master"
"""End of the names of Eiger's master files, without their ending."""


@dataclass(frozen=True)
class Located:
    """A volume whose datasets are located.

    Parameters
    ----------
    entry : Entry
        The volume.
    pieces, levels : tuple of Place
        Its datasets (see `Entry`).
    others : sequence of Entry
        The other volumes of the file, if it is the default one.
    """

    entry: Entry
    pieces: tuple[Place, ...]
    levels: tuple[Place, ...] = ()
    others: Sequence[Entry] = ()


def volume(files: Files, path: str, name: str | None, watch: Watch) -> Located:
    """Locate a volume by its name, that of a dataset or of a group of them.

    Parameters
    ----------
    files : Files
        Access to files.
    path : str
        The file where the search starts.
    name : str, optional
        The path of the dataset, or of the group, in it; by default the first of `entries`.
    watch : callable
        Called with the path of each file before the file is opened.

    Raises
    ------
    SourceError
        There is no such volume, or a link to it is damaged or circular.
    NotAllowed
        It is in a file outside the allowed folders.
    """
    if name is None:
        return _default(files, path, watch)
    place = locate(files, path, name, watch)
    if place is not None:
        return Located(Entry(name), (place,))
    with open_h5(files, path) as (file, _):
        entry = bdv.entry(file, name)
        others = names_of(file)
    entry = entry or next((each for each in entries(files, path) if each.name == name), None)
    if entry is None:
        raise SourceError(f"{path} has no dataset {name}; it has {others}.")
    return _located(files, path, entry, watch)


def entries(files: Files, path: str) -> list[Entry]:
    """Return the volumes of a file, the default one first, the others by name.

    The default is ``main``, or else the first by name among the datasets of three axes that are
    not behind a link to another file, or else the first of all.

    Parameters
    ----------
    files : Files
        Access to files.
    path : str
        The file.

    Raises
    ------
    SourceError, NotAllowed
        The file itself, or a link ``main``, cannot be used. Other links that cannot be followed
        are reported in the log.
    """
    with open_h5(files, path) as (file, _):
        root = file["/"].id
        if imaris.has_layout(root):
            raise SourceError(
                f"{path} has the layout of an Imaris file: its name must end in .{imaris.ENDING}, "
                "and the path of the channel must be the file itself."
            )
        has_main = root.links.exists(MAIN.encode())
        views = bdv.entries(file)
        if views and not has_main:
            return views
        found = datasets_of(files, path, file)
    main = locate(files, path, MAIN, lambda _path: None) if has_main else None
    if main is not None:
        with open_h5(files, main.path) as (file, _):
            dataset = file[main.name]
            known = identity(dataset.id, os.path.realpath(main.path))
            served = Entry.of(MAIN, dataset, main.path)
        return [served, *grouped(each for each in found if each.identity != known)]
    listed = grouped(found)
    plain = [each.entry.name for each in found if len(each.shape) == 3 and not each.is_linked]
    return sorted(listed, key=lambda each: not {*plain[:1]} & {*each.pieces, *each.levels})


def images_beside(files: Files, path: str) -> list[str]:
    """Return the files that are there of those with the images of an Eiger master file.

    The name decides what is a master file: no other is opened for it.
    """
    if not os.path.splitext(path)[0].endswith(MASTER):
        return []
    held: set[str] = set()
    for entry in entries(files, path):
        for name in entry.pieces if IMAGES.fullmatch(entry.pieces[0]) else ():
            with suppress(SourceError, NotAllowed):
                place = locate(files, path, name, lambda _path: None)
                held.update({place.path} if place else ())
    return sorted(held - {path})


def _default(files: Files, path: str, watch: Watch) -> Located:
    watch(path)
    if is_plain(files, path):
        return Located(Entry(MAIN), (Place(path, f"/{MAIN}"),))
    main = locate(files, path, MAIN, watch)
    try:
        found = entries(files, path)
    except (SourceError, *DAMAGE) as error:
        if main is None:
            raise
        log.warning("%s: its other volumes cannot be listed: %s", path, error)
        found = [Entry(MAIN)]
    if not found:
        with open_h5(files, path) as (file, _):
            broken = [each for each in datasets_of(files, path, file) if not each.shape]
            names = names_of(file)
        for each in broken:
            # This raises the reason why the link leads to no dataset.
            locate(files, path, each.entry.name, watch)
        raise SourceError(f"{path} has no dataset with three axes; it has {names}.")
    if main is not None:
        return Located(found[0], (main,), others=found[1:])
    return _located(files, path, found[0], watch, found[1:])


def _located(
    files: Files, path: str, entry: Entry, watch: Watch, others: Sequence[Entry] = ()
) -> Located:
    def place(name: str) -> Place:
        found = locate(files, path, name, watch)
        if found is None:
            raise SourceError(f"{path} has no dataset {name}, which belongs to {entry.name}.")
        return found

    return Located(entry, tuple(map(place, entry.pieces)), tuple(map(place, entry.levels)), others)
