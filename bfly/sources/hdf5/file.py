"""HDF5 files, opened as they were checked, and the way by links from a name to a dataset.

The library follows links to other files by rules of its own, also from the working folder. It is
therefore asked what each link says, and links are followed here.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack, contextmanager, suppress
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
    "Place",
    "beside",
    "find",
    "is_unbounded",
    "leading_to",
    "locate",
    "open_h5",
]

LINKS = 16
"""How many links, within a file or to another one, lead to a dataset; HDF5 has the same bound."""


OBJECTS = 100_000
"""Groups and datasets of a file that are looked at for a volume."""


class Place(NamedTuple):
    """The file that holds a dataset, and the dataset's path in it, in which nothing is a link."""

    path: str
    name: str


@contextmanager
def open_h5(files: Files, path: str) -> Iterator[tuple[Any, Stamp]]:
    """Open a file with h5py for a short while.

    Yields
    ------
    file : h5py.File
        The file. Its name is not that of the path.
    stamp : Stamp
        Its state.

    Raises
    ------
    SourceError, SourceChanged, NotAllowed, Busy
        It cannot be opened; the message has the path and the reason of h5py.
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
            # The program around us may have it open with locks; then so must we.
            return h5py.File(name, "r")
    except OSError as error:
        reason = str(error).replace(name, path)
        raise with_reason(f"{path} cannot be opened as HDF5: {reason}.") from error


def find(files: Files, path: str, name: str | None, watch: Watch) -> Place:
    """Find the dataset to serve: the one named, else ``main``, else the first volume.

    Parameters
    ----------
    files : Files
        The way to files.
    path : str
        The file to begin with.
    name : str, optional
        The dataset's path in it.
    watch : callable
        Is called with the path of each file before the file is opened.

    Raises
    ------
    SourceError
        There is none, or what leads to it is damaged or leads in a circle.
    NotAllowed
        It is in a file outside the allowed folders.
    """
    if name is not None:
        place = locate(files, path, name, watch)
        if place is None:
            raise SourceError(f"{path} has no dataset {name}; it has {_names_in(files, path)}.")
        return place
    place = locate(files, path, "main", watch)
    if place is not None:
        return place
    with open_h5(files, path) as (file, _):
        names = _dataset_names(file)
        first = next((n for n in names if _has_three_axes(file[n])), None)
    if first is None:
        raise SourceError(f"{path} has no dataset with three axes; it has {names}.")
    return Place(path, f"/{first}")


def locate(files: Files, path: str, name: str, watch: Watch, links: int = 0) -> Place | None:
    """Follow a name to a dataset, also into other files; None if it is that of no dataset."""
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
            return Place(path, "/" + "/".join(way)) if isinstance(here, h5py.Dataset) else None
    target = beside(path, other)
    inner = "/".join(rest[::-1])
    with leading_to(path, name, target):
        place = locate(files, target, inner, watch, links)
    if place is None:
        raise SourceError(f"{path}: {name} is a link to {target}, which has no dataset {inner}.")
    return place


@contextmanager
def leading_to(path: str, name: str, other: str) -> Iterator[None]:
    """Name the dataset whose voxels are in another file, if that file cannot be read."""
    try:
        yield
    except SourceChanged:
        raise
    except SourceError as error:
        raise SourceError(f"{path}: {name} needs another file, {other}: {error}") from error


def _link(group: Any, part: str, path: str, name: str) -> Any:
    """Return what a name is in a group, without following it; None if nothing is there."""
    if not isinstance(group, h5py.Group):
        return None
    try:
        return group.get(part, getlink=True)
    except TypeError as error:
        raise SourceError(f"{path}: {name} is a link of an unknown kind: {error}.") from error


def beside(path: str, name: str) -> str:
    """Return the path of a file that another names: seen from there, or from where that really is.

    It is never seen from the working folder.
    """
    there = os.path.join(os.path.dirname(path), name)
    if not os.path.lexists(there):
        real = os.path.join(os.path.dirname(trail_of(path)[0]), name)
        if os.path.lexists(real):
            return real
    return there


def _names_in(files: Files, path: str) -> list[str]:
    with open_h5(files, path) as (file, _):
        return _dataset_names(file)


def is_unbounded(plist: Any) -> bool:
    """Return whether a virtual dataset is as large as what other files hold.

    HDF5 opens those files as soon as it is asked for the extent. This does not ask.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        The properties with which the dataset was created.
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


def _has_three_axes(dataset: Any) -> bool:
    return not is_unbounded(dataset.id.get_create_plist()) and dataset.ndim == 3


def _dataset_names(file: Any) -> list[str]:
    names: list[str] = []
    seen = itertools.count()

    def note(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset):
            names.append(name)
        return True if next(seen) > OBJECTS else None

    # What is said of a damaged group, opening the dataset says better.
    with suppress(OSError, RuntimeError, KeyError, TypeError, ValueError):
        file.visititems(note)
    return sorted(names)
