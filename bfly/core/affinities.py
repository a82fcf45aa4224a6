"""Channels of a dataset that are affinities: one of each axis."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bfly.errors import ButterflyError, SourceError
from bfly.geometry import zyx
from bfly.queries.info import InfoQuery
from bfly.splitting.affinities import affinity_means
from bfly.storage.part import split_path
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.geometry import BoundingBox
    from bfly.queries.query import Query
    from bfly.splitting.contacts import Contacts
    from bfly.volumes.volume import Volume

    Words = Mapping[str, Any]

__all__ = ["Affinities", "are_affinities", "find_affinities"]

log = logging.getLogger(__name__)

AXES = "zyx"

NAMED = re.compile(r"(?<![a-z])affs?(?![a-z])|affinit(y|ies)", re.IGNORECASE)
"""Names of affinities."""

AXIS = re.compile(r"(?<![a-z0-9])[zyx](?![a-z0-9])", re.IGNORECASE)
"""An axis in a name: ``affinities-z``."""


class Affinities(NamedTuple):
    """Affinities of a voxel to the one before it along each axis.

    Parameters
    ----------
    volumes : tuple of Volume
        Those along z, y and x: floats from 0 to 1, or uint8, whose 255 is 1.
    """

    volumes: tuple[Volume, ...]

    def means(self, touching: Contacts, cutouts: Cutouts) -> NDArray[np.float64]:
        """Return the mean affinity across the faces of each contact, from 0 to 1.

        Parameters
        ----------
        touching : Contacts
            Pairs of supervoxels.
        cutouts : Cutouts
            Reads voxels, one block at a time.

        Raises
        ------
        SourceError
            The affinities cannot be read, or are not from 0 to 1.
        """

        def read(axis: int, box: BoundingBox) -> Any:
            volume = self.volumes[axis]
            values = cutouts.gather(Region.of(volume, 0, box))
            if values.dtype.kind == "f":
                _check_range(values, volume.spec.path)
            return values

        return affinity_means(touching, read)


def _check_range(values: Any, path: str) -> None:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise SourceError(
            f"{path} has affinities from {low:g} to {high:g}; allowed are 0 to 1. If it has none, "
            "give the channel a name without affinity in the configuration, and splits go by the "
            "image."
        )


def are_affinities(words: Words) -> bool:
    """Return whether the name of a channel says that it has affinities."""
    return NAMED.search(words["name"]) is not None


def find_affinities(
    beside: Sequence[Words], volume: Volume, keywords: Callable[[Query], dict[str, Any]]
) -> Affinities | None:
    """Return the first affinities among channels; None if there are none that can be used.

    The log has the reason if channels with such a name cannot be used.

    Parameters
    ----------
    beside : sequence of dict
        Words of the other channels of the dataset, with their names.
    volume : Volume
        The segmentation.
    keywords : callable
        Returns the metadata of a query's source, as `Core.update_query` does.
    """
    groups: dict[Any, dict[int, Words]] = {}
    for words in filter(are_affinities, beside):
        group, axis = _component(words)
        groups.setdefault(group, {}).setdefault(axis, words)
    for parts in groups.values():
        # Affinities of few values may look like labels, but one volume of labels is none of them.
        if len(parts) == 1 and all(words["kind"] == "segmentation" for words in parts.values()):
            continue
        try:
            return Affinities(tuple(_opened(parts, axis, volume, keywords) for axis in range(3)))
        except ButterflyError as error:
            name = next(iter(parts.values()))["name"]
            log.warning("Splits do not use the affinities of %s: %s", name, error)
    return None


def _component(words: Words) -> tuple[Any, int]:
    """Return what the channels of the same affinities share, and the place of one among them."""
    name = words["name"]
    if len(letters := AXIS.findall(name)) == 1:
        return AXIS.sub("", name), AXES.index(letters[0].lower())
    file, part = split_path(words["path"])
    place = part.of_axis("c") or "0"
    others = {axis: at for axis, at in part.indexes if axis != "c" and at != "0"}
    return (file, part.dataset, *sorted(others.items())), int(place) if place.isdecimal() else -1


def _opened(
    parts: Mapping[int, Words],
    axis: int,
    volume: Volume,
    keywords: Callable[[Query], dict[str, Any]],
) -> Volume:
    """Return the affinities along an axis; raise why they cannot be used."""
    if axis not in parts:
        raise SourceError(
            f"there is no component {axis} ({AXES[axis]}). There must be one for each of z, y and "
            "x, in this order on the axis c, or channels with these letters in their names."
        )
    found: Volume = keywords(InfoQuery(**parts[axis]))["volume"]
    if found.dtype.kind != "f" and found.dtype != "u1":
        raise SourceError(f"they are {found.dtype}; allowed are floats from 0 to 1, and uint8.")
    # An offset of one voxel states affinities to the voxel after, instead of the one before.
    whole, own = volume.level(0).place, found.level(0).place
    if own not in (whole, whole.shift(zyx(int(each == axis) for each in range(3)))):
        raise SourceError(
            f"component {axis} is at {own.start} to {own.stop} (z, y, x); allowed is the place of "
            f"the segmentation, {whole.start} to {whole.stop}."
        )
    return found
