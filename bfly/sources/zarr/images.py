"""Images in a group of OME-Zarr: several pyramids, labels, series of a file, fields of a plate.

The format: https://ngff.openmicroscopy.org/specifications/0.5. Parts of a path name them:
``labels/cells``, ``multiscales/1`` (the second pyramid of the group), ``1`` (a series of
bioformats2raw), ``A/2/0`` (row, column and field of a plate).
"""

from __future__ import annotations

import logging
import re
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Document = dict[str, Any]
    Read = Callable[[str], Document | None]

__all__ = [
    "Image",
    "image_at",
    "images_in",
    "is_group_of_images",
    "image_of_label",
    "joined",
    "multiscales_of",
    "ome_of",
]

log = logging.getLogger(__name__)

ANOTHER = re.compile(r"(?:(?P<group>.+)/)?multiscales/(?P<number>[1-9][0-9]{0,5})")
"""The name of a pyramid that is not the first of its group."""

LISTED = 2000
"""Most groups of a list that are looked for: a plate has up to 1,536 wells."""

SHOWN = 10
"""Most images that a message names."""


class Image(NamedTuple):
    """A pyramid in a store.

    Parameters
    ----------
    name : str
        Dataset of the part that names it; "" for the first one of the store.
    group : str
        Path of its group in the store.
    multiscale : dict
        Its entry in ``multiscales``.
    """

    name: str
    group: str
    multiscale: Document


def joined(*names: object) -> str:
    """Return the path of something in a group of the store, whose own path may be empty."""
    return "/".join(filter(None, map(str, names)))


def ome_of(read: Read, group: str) -> Document:
    """Return the attributes of a group that OME-Zarr defines; empty without any.

    Parameters
    ----------
    read : callable
        Returns a JSON document by its name in the store; None if there is none.
    group : str
        Path of the group in the store; "" for its top.
    """
    document = read(joined(group, "zarr.json"))
    if document is not None:
        attributes = document.get("attributes")
        ome = attributes.get("ome") if isinstance(attributes, dict) else None
        return ome if isinstance(ome, dict) else {}
    is_group = read(joined(group, ".zgroup")) is not None
    return (read(joined(group, ".zattrs")) or {}) if is_group else {}


def is_group_of_images(read: Read) -> bool:
    """Return whether a store is an image of OME-Zarr, or a group that lists images."""
    ome = ome_of(read, "")
    return bool(multiscales_of(ome)) or "bioformats2raw.layout" in ome or _is_of_plate(ome)


def images_in(read: Read, path: str) -> Iterator[Image]:
    """Yield the images of a store, the default one first; labels follow their image.

    Parameters
    ----------
    read : callable
        As for `ome_of`.
    path : str
        Name of the store in the log, which reports images that are listed and missing.
    """
    ome = ome_of(read, "")
    if multiscales_of(ome):
        yield from _of_group(read, "", path)
        return
    is_first = True
    for group in islice(_listed(read, ome, path), LISTED):
        for image in _of_group(read, group, path):
            yield image._replace(name="") if is_first else image
            is_first = False


def image_at(read: Read, name: str, path: str) -> Image | None:
    """Return an image by its name in a part; None if the store has no images at all.

    Raises
    ------
    SourceError
        There is none of this name; the message has some that there are.
    """
    if not is_group_of_images(read):
        return None
    if name:
        another = ANOTHER.fullmatch(name)
        group = (another["group"] or "") if another else name
        number = int(another["number"]) if another else 0
        check_name(name, path)
        multiscales = multiscales_of(ome_of(read, group))
        if number < len(multiscales):
            return Image(name, group, multiscales[number])
    there: list[str] = []
    for image in images_in(read, path):
        if not name:
            return image
        there += [image.name] * bool(image.name)
        if len(there) > SHOWN:
            break
    if not name:
        raise SourceError(f"{path} describes images of OME-Zarr, of which none is there.")
    names = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
    raise SourceError(f"{path} has no part {name}; it has {names or 'none'}.")


def image_of_label(read: Read, group: str) -> Document | None:
    """Return the pyramid of the image that lists a group as its labels; None if none does."""
    image, mark, name = f"/{group}".rpartition("/labels/")
    image = image.strip("/")
    is_listed = bool(mark) and name in _labels(read, image)
    return next(iter(multiscales_of(ome_of(read, image))), None) if is_listed else None


def multiscales_of(ome: Document) -> list[Document]:
    """Return the ``multiscales`` in the attributes of a group; empty if there are none."""
    match ome.get("multiscales"):
        case [{"datasets": [_, *_]}, *_] as multiscales:
            return list(multiscales)
    return []


def _is_of_plate(ome: Document) -> bool:
    match ome:
        case {"plate": {"wells": [*_]}} | {"well": {"images": [*_]}}:
            return True
    return False


def _labels(read: Read, image: str) -> list[Any]:
    """Return the names of labels that an image lists; a damaged list is logged."""
    try:
        listed = ome_of(read, joined(image, "labels")).get("labels")
    except (NotAllowed, SourceError) as error:
        log.warning("Labels are not listed: %s", error)
        return []
    return listed if isinstance(listed, list) else []


def _listed_ome(read: Read, group: str, path: str) -> Document:
    """Return the attributes of a listed group; one that is not there, or damaged, is logged."""
    try:
        if ome := ome_of(read, group):
            return ome
        log.warning("%s: %s is listed, but not there.", path, group)
    except (NotAllowed, SourceError) as error:
        log.warning("%s: %s is listed, but cannot be used: %s", path, group, error)
    return {}


def _of_group(read: Read, group: str, path: str) -> Iterator[Image]:
    """Yield the pyramids of a group, and those of its labels."""
    multiscales = multiscales_of(_listed_ome(read, group, path))
    for number, multiscale in enumerate(multiscales):
        yield Image(joined(group, f"multiscales/{number}") if number else group, group, multiscale)
    for label in _named(_labels(read, group) if multiscales else [], joined(group, "labels"), path):
        for multiscale in multiscales_of(_listed_ome(read, label, path))[:1]:
            yield Image(label, label, multiscale)


def _listed(read: Read, ome: Document, path: str) -> Iterator[str]:
    """Yield the groups of the images that a plate, a well or a converted file lists."""
    if _is_of_plate(ome) and "plate" in ome:
        for well in _named(_paths(ome["plate"], "wells"), "", path):
            fields = _paths(_listed_ome(read, well, path).get("well"), "images")
            yield from _named(fields, well, path)
    elif _is_of_plate(ome):
        yield from _named(_paths(ome["well"], "images"), "", path)
    elif isinstance(series := ome_of(read, "OME").get("series"), list):
        yield from _named(series, "", path)
    else:
        yield from takewhile(lambda group: multiscales_of(ome_of(read, group)), map(str, count()))


def _paths(holder: Any, name: str) -> list[Any]:
    """Return the paths of a list of objects in the attributes of a plate or a well."""
    items = holder.get(name) if isinstance(holder, dict) else None
    return [item.get("path") for item in items or () if isinstance(item, dict)]


def _named(names: Iterable[Any], below: str, path: str) -> Iterator[str]:
    """Yield paths in the store from names in its metadata that lead down; log the others."""
    for name in islice(names, LISTED):
        group = joined(below, name)
        try:
            check_name(group, path)
        except NotAllowed as error:
            log.warning("%s", error)
        else:
            yield group
