"""Checked opening of HDF5 files, and resolution of links from a name to a dataset.

The library follows links to other files by its own rules, also from the working folder. Links
are therefore only read by the library, and followed here.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import h5py

from bfly.errors import SourceChanged, SourceError
from bfly.storage.files import stamp_of
from bfly.storage.opening import fd_path, trail_of, with_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from bfly.storage.files import Files, Stamp

    Watch = Callable[[str], None]

__all__ = [
    "LINKS",
    "OBJECTS",
    "Place",
    "beside",
    "follow",
    "is_unbounded",
    "leading_to",
    "locate",
    "open_h5",
]

LINKS = 16
"""Maximum number of links to a dataset, within or between files: the same limit as HDF5."""


OBJECTS = 100_000
"""Maximum number of groups and datasets that are searched for a volume."""


class Place(NamedTuple):
    """The file that holds a dataset, and the dataset's path in it, free of links."""

    path: str
    name: str


@contextmanager
def open_h5(files: Files, path: str) -> Iterator[tuple[Any, Stamp]]:
    """Open a file with h5py for the duration of the context.

    Yields
    ------
    file : h5py.File
        The file. Its name differs from the path.
    stamp : Stamp
        Its state.

    Raises
    ------
    SourceError, SourceChanged, NotAllowed, Busy
        It cannot be opened; the message has the path and the reason that h5py states.
    """
    with ExitStack() as stack:
        try:
            fd, stamp = stack.enter_context(files.open(path))
        except SourceError as error:
            raise SourceError(f"{path} cannot be opened as HDF5: {error}") from error
        try:
            file = files.spared(partial(_opened, fd_path(fd), path))
        except SourceError:
            if stamp_of(path) != stamp:
                raise SourceChanged(f"{path} changed on disk while it was opened.") from None
            raise
        with file:
            yield file, stamp


def _opened(name: str, path: str) -> Any:
    try:
        try:
            return h5py.File(name, "r", locking=False)
        except OSError:
            # This process may already have the file open with locks; then locks are required here.
            return h5py.File(name, "r")
    except OSError as error:
        reason = str(error).replace(name, path)
        raise with_reason(f"{path} cannot be opened as HDF5: {reason}.") from error


def locate(files: Files, path: str, name: str, watch: Watch) -> Place | None:
    """Follow a name to a dataset as `follow`; return None if there is none."""
    target = follow(files, path, name, watch)
    return target[0] if target and target[1] else None


def follow(
    files: Files, path: str, name: str, watch: Watch, links: int = 0
) -> tuple[Place, bool] | None:
    """Follow a name to a dataset or a group, also into other files.

    Parameters
    ----------
    files : Files
        Access to files.
    path : str
        The file where the search starts.
    name : str
        The path in it.
    watch : callable
        Called with the path of each file before the file is opened.
    links : int
        Links that led to the file.

    Returns
    -------
    tuple, optional
        The place, and whether it is a dataset; None if the file has no such name.

    Raises
    ------
    SourceError
        A link is damaged, circular, or leads to nothing.
    NotAllowed
        A link leads to a file outside the allowed folders.
    """
    watch(path)
    with open_h5(files, path) as (file, _):
        here, way = file["/"], list[str]()
        rest = name.split("/")[::-1]
        other = None
        while rest and other is None:
            part = rest.pop()
            if part in ("", "."):
                continue
            link = _link(here, part, path, name)
            if link is None:
                return None
            if isinstance(link, h5py.HardLink):
                here = here[part]
                way.append(part)
                continue
            links += 1
            if links > LINKS:
                raise SourceError(
                    f"{path}: {name} leads through more than {LINKS} links, perhaps in a circle."
                )
            rest.extend(link.path.split("/")[::-1])
            if isinstance(link, h5py.ExternalLink):
                other = link.filename
            elif link.path.startswith("/"):
                here, way = file["/"], []
        if other is None:
            place = Place(path, "/" + "/".join(way))
            is_dataset = isinstance(here, h5py.Dataset)
            return (place, is_dataset) if is_dataset or isinstance(here, h5py.Group) else None
    target = beside(path, other)
    inner = "/".join(rest[::-1])
    with leading_to(path, name, target):
        found = follow(files, target, inner, watch, links)
    if found is None:
        raise SourceError(f"{path}: {name} is a link to {target}, which has no dataset {inner}.")
    return found


@contextmanager
def leading_to(path: str, name: str, other: str) -> Iterator[None]:
    """Add the dataset's name to errors of a file that the dataset needs."""
    try:
        yield
    except SourceChanged:
        raise
    except SourceError as error:
        raise SourceError(f"{path}: {name} needs another file, {other}: {error}") from error


def _link(group: Any, part: str, path: str, name: str) -> Any:
    """Return the link with this name in a group, not followed; None if there is none."""
    if not isinstance(group, h5py.Group):
        return None
    try:
        return group.get(part, getlink=True)
    except TypeError as error:
        raise SourceError(f"{path}: {name} is a link of an unknown kind: {error}.") from error


def beside(path: str, name: str) -> str:
    """Return the path of a file that another file names.

    It is relative to the naming file, or to that file's real path; never to the working folder.
    """
    there = os.path.join(os.path.dirname(path), name)
    if not os.path.lexists(there):
        real = os.path.join(os.path.dirname(trail_of(path)[0]), name)
        if os.path.lexists(real):
            return real
    return there


def is_unbounded(plist: Any) -> bool:
    """Return whether the extent of a virtual dataset depends on other files.

    HDF5 opens those files when the extent is queried. This function does not query it.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        The creation properties of the dataset.
    """
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return False
    spaces = [plist.get_virtual_vspace(i) for i in range(plist.get_virtual_count())]
    slabs = [s for s in spaces if s.get_select_type() == h5py.h5s.SEL_HYPERSLABS]
    return any(
        h5py.h5s.UNLIMITED in (*count, *block)
        for _, _, count, block in (
            slab.get_regular_hyperslab() for slab in slabs if slab.is_regular_hyperslab()
        )
    )
