"""Numbers and words that differ among the names of images, and what their marks say they count."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["NUMBER", "UUID", "Column", "Columns", "columns_of", "is_counted"]

BETWEEN = re.compile(r"[\W_]+")
"""What separates the parts of a name."""

UUID = re.compile(r"[0-9A-F]{8}(-?[0-9A-F]{4}){3}-?[0-9A-F]{12}", re.I)
"""Unique to each image, and so no place on an axis."""

NUMBER = re.compile(r"\d+")

NUMBERS = re.compile(r"(\d+)")
"""Splits a name into texts and numbers, in turn."""

MARK = re.compile(r"([A-Z]?[a-z]+|[A-Z]+)$")
"""Last word in front of a number: ``C`` of ``imgC01``, ``Series`` of ``TSeries-01``."""

CHANNELS = {"c", "ch", "chan", "channel", "w", "wl", "wavelength"}
SECTIONS = {"z", "s", "sl", "slice", "sec", "section", "plane", "layer"}
TILES = {"r", "row", "col", "column", "x", "y", "tile", "zoom", "level", "mip", "lod"}
AXES = {
    **dict.fromkeys(CHANNELS, "c"),
    **dict.fromkeys(("t", "tp", "time", "timepoint", "cycle"), "t"),
    **dict.fromkeys(("p", "pos", "position"), "p"),
}
"""Axes of `Part`, by the marks of numbers in lower case."""

DIGITS = 9
"""Digits of a time in the names of Micro-Manager."""

WORDS = 32
"""Most different words at one place of the names that are taken for names of channels."""


@dataclass(frozen=True)
class Column:
    """A place in all names, at which they differ.

    Parameters
    ----------
    token : int
        Index among the parts of a name.
    number : int, optional
        Index among the numbers of that part; None if the part itself is a word.
    mark : str
        Word in front of the number, in lower case.
    """

    token: int
    number: int | None
    mark: str = ""

    @property
    def axis(self) -> str:
        """Axis of `Part` on which it is a place; "" for sections and where nothing says so."""
        return "c" if self.number is None else AXES.get(self.mark, "")

    def text(self, token: str) -> str:
        """Return the digits of the number, or the word, in a part of a name."""
        return token if self.number is None else NUMBER.findall(token)[self.number]

    def of(self, tokens: Sequence[str]) -> str:
        """Return the number, without zeros in front, or the word of a name."""
        text = self.text(tokens[self.token])
        return text if self.number is None else str(int(text))


@dataclass(frozen=True)
class Columns:
    """All places at which the names differ.

    Parameters
    ----------
    parts : sequence of Column
        Channels, times and positions.
    others : sequence of Column
        Those of which the names do not say what they count, and those of tiles.
    section : Column, optional
        Number of the section.
    """

    parts: Sequence[Column] = ()
    others: Sequence[Column] = ()
    section: Column | None = None

    @property
    def is_sure(self) -> bool:
        """Whether the names say what each of them is, and no two are the same."""
        axes = [column.axis for column in self.parts]
        return not self.others and len(set(axes)) == len(axes)

    @property
    def has_channels(self) -> bool:
        """Whether a number is marked as that of a channel or a time."""
        return any(column.number is not None for column in self.parts)

    @cached_property
    def _axes(self) -> Sequence[tuple[str, Column]]:
        """All columns but that of the section, with their axes, in the order of these."""
        ordered = ((column.axis, column) for column in (*self.parts, *self.others))
        return sorted(ordered, key=lambda each: each[0])

    def counted(self, names: Sequence[str]) -> str:
        """Return what names count, for messages: ``x of 4, y of 4 and z of 10``."""
        rows = [_tokens(name) for name in names]
        columns = sorted(
            (*self.parts, *self.others, *filter(None, [self.section])),
            key=lambda column: (column.token, column.number or 0),
        )
        *some, last = (
            f"{column.mark or 'a word or number'} of {len({column.of(row) for row in rows}):,}"
            for column in columns
        )
        return f"{', '.join(some)} and {last}" if some else last

    def places(self, name: str) -> tuple[tuple[tuple[str, str], ...], str]:
        """Return the places of a name on the axes of its volume, and its section."""
        tokens = _tokens(name)
        return (
            tuple((axis, column.of(tokens)) for axis, column in self._axes),
            self.section.of(tokens) if self.section else "",
        )


def is_counted(names: Sequence[str]) -> bool:
    """Return whether names differ in one number only, which counts no channels.

    It is what most stacks have, and is found in less than a microsecond a name.
    """
    first, last = (NUMBERS.split(name) for name in (min(names), max(names)))
    differ = [at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1]
    if len(first) != len(last) or len(differ) > 1 or any(at % 2 == 0 for at in differ):
        return False
    if not differ:
        return len(names) == 1
    before, after = "".join(first[: differ[0]]), "".join(first[differ[0] + 1 :])
    if AXES.get(_mark(before), "") == "c":
        return False
    start, end = len(before), -len(after) or None
    return all(
        name.startswith(before) and name.endswith(after) and name[start:end].isdecimal()
        for name in names
    )


def columns_of(names: Sequence[str]) -> Columns | None:
    """Return the places at which names of one extension differ.

    Returns
    -------
    Columns or None
        None if names have different numbers of parts, or too many different words.
    """
    width = len(_tokens(names[0]))
    seen: list[set[str]] = [set() for _ in range(width)]
    for name in names:
        tokens = _tokens(name)
        if len(tokens) != width:
            return None
        for values, token in zip(seen, tokens, strict=True):
            values.add(token)
    found: list[Column] = []
    before = ""
    for at, values in enumerate(seen):
        if len({NUMBER.sub("#", token) for token in values}) > 1:
            if len(values) > WORDS:
                return None
            found.append(Column(at, None))
        else:
            found += _numbers(at, values, before)
        before = next(iter(values)) if len(values) == 1 else ""
    return _sorted({column: set(map(column.text, seen[column.token])) for column in found})


def _tokens(name: str) -> list[str]:
    return BETWEEN.split(UUID.sub("", name.rpartition(".")[0]))


def _mark(before: str) -> str:
    """Return the word at the end of what is in front of a number, in lower case."""
    match = MARK.search(BETWEEN.sub(" ", before).rstrip())
    return match[0].lower() if match else ""


def _numbers(at: int, values: Iterable[str], before: str) -> list[Column]:
    """Return the numbers that differ in one part of the names.

    Parameters
    ----------
    at : int
        Index of the part.
    values : iterable of str
        The part in all names; they are equal but for their numbers.
    before : str
        The part in front of it, "" if that differs.
    """
    some = next(iter(values))
    texts = NUMBER.split(some)
    numbers = zip(*map(NUMBER.findall, values), strict=True)
    return [
        Column(at, number, _mark(texts[number] or (before if number == 0 else "")))
        for number, column in enumerate(numbers)
        if len(set(column)) > 1
    ]


def _known(column: Column, texts: Collection[str]) -> Column:
    """Return a column with the mark that its place and its numbers mean.

    MetaMorph numbers wavelengths ``_w1`` to ``_w9``; in electron microscopy, w is a wafer. The
    nine digits behind Micro-Manager's ``img_`` are the time. More channels than any microscope
    has are sections.
    """
    if column.mark == "w" and (column.token == 0 or max(map(len, texts)) > 1):
        return replace(column, mark="wafer")
    if column.mark == "img" and {len(text) for text in texts} == {DIGITS}:
        return replace(column, mark="time")
    if column.axis == "c" and len(texts) > WORDS:
        return replace(column, mark="section")
    return column


def _sorted(found: Mapping[Column, Collection[str]]) -> Columns:
    """Return the columns, given with their different texts, by what they count."""
    plain = [_known(column, texts) for column, texts in found.items()]
    parts = [column for column in plain if column.axis]
    if len(plain) > 1 and any(column.mark in TILES for column in plain):
        return Columns((), plain[:-1], plain[-1])
    counted = [column for column in plain if not column.axis]
    marked = [column for column in counted if column.mark in SECTIONS]
    times = [column for column in parts if column.axis != "c"]
    section = next(iter((*marked, *reversed(counted), *times)), None)
    return Columns(
        [column for column in parts if column is not section],
        [column for column in counted if column is not section],
        section,
    )
