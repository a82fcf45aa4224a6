"""Names of the images in a folder: which of them are the sections of one volume.

Microscopes write the images of several channels and times into one folder. Their programs mark the
numbers in the names: ``C00_Z000``, ``s_c1_z003``, ``Cycle00001_Ch1_000001`` (PrairieView),
``s_w1_t2`` (MetaMorph), or write the name of the channel: ``img_000000000_DAPI_000``
(Micro-Manager).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.sources.shared.name_columns import NUMBER, UUID, columns_of, is_counted
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Named", "named"]

PARTS = 256
"""Most channels and times of a folder; more groups of names are not taken for them."""

SHARED = 0.5
"""Share of the sections of two groups of names that have to be the same ones. Groups of which one
follows on another are parts of one stack."""

THUMBNAIL = re.compile(r"^thumb(?:s|nail)?[\W_]|(?:^|[\W_])thumb(?:s|nail)?$", re.I)
"""Start or end of the name of a small copy, without its extension."""

Place = tuple[str, str]
"""An axis and a place on it, as in `Part.indexes`."""


@dataclass(frozen=True)
class Named:
    """What the names of images say.

    Parameters
    ----------
    volumes : mapping of Part to sequence of str
        Names of the sections of each volume; `WHOLE` alone if there is one.
    doubts : sequence of str
        Why the order of the names may not be that of sections, such as ``a.png and a.tif are two
        sections``.
    thumbnails : sequence of str
        Names of small copies, which are of no volume.
    """

    volumes: Mapping[Part, Sequence[str]]
    doubts: Sequence[str] = ()
    thumbnails: Sequence[str] = ()


def named(names: Sequence[str]) -> Named:
    """Return what the names of the images in a folder say.

    Parameters
    ----------
    names : sequence of str
        Names with their extensions, in any order, at least one.
    """
    if is_counted(names):
        return Named({WHOLE: names})
    thumbnails = [name for name in names if THUMBNAIL.search(UUID.sub("", _stem(name)))]
    if 0 < len(thumbnails) < len(names):
        small = set(thumbnails)
        names = [name for name in names if name not in small]
    else:
        thumbnails = []
    formats: dict[str, list[str]] = defaultdict(list)
    for name in names:
        formats[name.rpartition(".")[2].lower()].append(name)
    copies = _copies(names) if len(formats) > 1 else []
    doubts = [f"{' and '.join(copies)} are two sections"] if copies else []
    groups: dict[tuple[Place, ...], Sequence[str]] = {(): names}
    if copies and _overlap([set(map(_stem, group)) for group in formats.values()]):
        groups, doubts = {(("f", end),): formats[end] for end in sorted(formats)}, []
    volumes: dict[Part, Sequence[str]] = {}
    for place, group in groups.items():
        inner, doubt = _volumes(group)
        doubts += [doubt] if doubt else []
        volumes |= {Part("", (*indexes, *place)): each for indexes, each in inner.items()}
    return Named(volumes, doubts, thumbnails)


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _copies(names: Sequence[str]) -> list[str]:
    """Return the first two names that are the same but for their extension, if any are."""
    times = Counter(map(_stem, names))
    return sorted(name for name in names if times[_stem(name)] > 1)[:2]


def _overlap(groups: Sequence[Collection[object]]) -> bool:
    """Return whether the groups have most of their sections in common with the largest one."""
    largest = max(groups, key=len)
    others = [section for group in groups if group is not largest for section in group]
    shared = sum(section in largest for section in others)
    return shared >= max(1, SHARED * len(others))


def _volumes(
    names: Sequence[str],
) -> tuple[Mapping[tuple[Place, ...], Sequence[str]], str | None]:
    """Return the names of each volume by its places, and a doubt."""
    columns = columns_of(names)
    if columns is None or not (columns.section or columns.has_channels):
        return {(): names}, _doubt_of_words(names)
    groups: dict[tuple[Place, ...], list[str]] = defaultdict(list)
    sections: dict[tuple[Place, ...], set[str]] = defaultdict(set)
    for name in names:
        place, section = columns.places(name)
        groups[place].append(name)
        sections[place].add(section)
    if len(groups) == 1 or not (_overlap(list(sections.values())) or columns.has_channels):
        # The numbers of each group follow on those of another one: they are one stack.
        return {(): names}, None
    unique = sum(map(len, sections.values())) == len(names) > len(groups)
    if columns.is_sure and unique and len(groups) <= PARTS and _overlap(list(sections.values())):
        return groups, None
    return {(): names}, f"its names count {columns.counted(names)}"


def _doubt_of_words(names: Sequence[str]) -> str | None:
    """Return a doubt if names that differ in words have the same numbers."""
    groups: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    first: dict[str, str] = {}
    # Copies may have one more number: s1.png and s1 (2).png.
    least = min(len(NUMBER.findall(_stem(name))) for name in names)
    for name in names:
        words = NUMBER.sub("#", _stem(name))
        groups[words].add(tuple(NUMBER.findall(_stem(name))[:least]))
        first.setdefault(words, name)
        if len(groups) > PARTS:
            return None
    if not least or len(groups) in (1, len(names)) or not _overlap(list(groups.values())):
        return None
    return f"{' and '.join(list(first.values())[:2])} have the same numbers"
