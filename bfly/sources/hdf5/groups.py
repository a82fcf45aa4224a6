"""Groups of HDF5 datasets that are one volume: images of Eiger along z, levels ``s0``, ``s1`` …."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bfly.sources.hdf5.datasets import IMAGES
from bfly.sources.hdf5.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.sources.hdf5.datasets import Found

__all__ = ["grouped"]

EIGER = "entry/data"
"""Group with the images of Eiger."""

_LEVEL = re.compile(r"(?:(.+)/)?s(\d{1,3})")


def grouped(found: Iterable[Found]) -> list[Entry]:
    """Return datasets as volumes, sorted by name; several of a group may be one.

    Links ``data_000001``, ``data_000002`` … are one volume along z if no number is missing and
    their sections are alike; so are datasets of these names in ``entry/data``. Datasets ``s0``,
    ``s1`` … are levels if each is no larger than the one before.
    """
    by_name = {each.entry.name: each for each in found if each.shape or each.is_linked}
    volumes: list[Entry] = []
    for pattern, of_group in ((IMAGES, _images), (_LEVEL, _levels)):
        groups: defaultdict[str, list[tuple[int, Found]]] = defaultdict(list)
        for name, each in by_name.items():
            if match := pattern.fullmatch(name):
                groups[match[1] or ""].append((int(match[2]), each))
        for group, members in groups.items():
            members.sort(key=lambda member: member[0])
            is_one = len(members) == 1 and bool(members[0][1].shape)
            if not is_one and (volume := of_group(group, members)):
                volumes.append(volume)
                for name in (*volume.pieces, *volume.levels):
                    del by_name[name]
    volumes += [each.entry for each in by_name.values() if each.shape]
    return sorted(volumes, key=lambda each: each.name)


def _images(group: str, members: Sequence[tuple[int, Found]]) -> Entry | None:
    numbers = [number for number, _ in members]
    # A file that cannot be opened now is named when the volume is opened.
    sections = {each.shape[1:] for _, each in members if each.shape}
    follow = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if not follow or len(sections) > 1 or any(len(section) != 2 for section in sections):
        return None
    if group != EIGER and not all(each.is_linked for _, each in members):
        return None
    return Entry(group, tuple(each.entry.name for _, each in members))


def _levels(group: str, members: Sequence[tuple[int, Found]]) -> Entry | None:
    shapes = [each.shape for _, each in members]
    if [number for number, _ in members] != list(range(len(members))) or not all(shapes):
        return None
    for finer, coarser in pairwise(shapes):
        fits = len(finer) == len(coarser) and coarser != finer
        if not fits or any(b > a for a, b in zip(finer, coarser, strict=True)):
            return None
    first, *others = (each.entry for _, each in members)
    names = tuple(each.name for each in others)
    return replace(first, name=group or first.name, levels=names)
