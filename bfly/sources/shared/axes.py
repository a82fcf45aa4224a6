"""Axes of an array by name: z, y and x of a volume, and the others, which select the volume.

A channel of Butterfly is one volume. An array with axes of channels or time holds several, each
of which is a part of its file (see `bfly.storage.part`).
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["PARTS", "VolumeAxes", "axes_of", "letter_of", "parts_along", "places_along"]

log = logging.getLogger(__name__)

PARTS = 100
"""Most volumes of one array that a scan lists: a time series may have tens of thousands."""

WORDS = {
    **dict.fromkeys(("channel", "channels", "ch"), "c"),
    **dict.fromkeys(("time", "times", "timepoint", "timepoints", "frame", "frames"), "t"),
    **{"depth": "z", "height": "y", "width": "x"},
}
"""Letters of axes with longer names."""

_LETTER = re.compile(r"([a-z])(?:[ _-]?axis)?")

SPACE = "zyx"

EXTRA = "ctabdefghi"
"""Letters that a message proposes for axes without a name."""


@dataclass(frozen=True)
class VolumeAxes:
    """Axes of an array, of which one volume is served.

    Parameters
    ----------
    zyx : tuple of int
        Which axes are z, y and x, or y and x of a single section.
    at : mapping of int to int
        Index of the volume on each of the other axes.
    lengths : mapping of str to int
        Number of volumes along each other axis that is longer than one, by its letter.
    """

    zyx: tuple[int, ...]
    at: Mapping[int, int]
    lengths: Mapping[str, int]


def letter_of(name: object) -> str:
    """Return the letter of a named axis in a part: ``c`` for channel; "" for any other word."""
    text = str(name).strip().lower().rstrip("^'")
    found = _LETTER.fullmatch(text)
    return found[1] if found else WORDS.get(text, "")


def axes_of(
    names: Iterable[object],
    shape: Sequence[int],
    path: str,
    part: Part = WHOLE,
    *,
    x_first: bool = False,
) -> VolumeAxes:
    """Find z, y and x among the axes of an array, and the place of a volume on the others.

    An axis named c, t or by another letter is never z. Axes without a name are those of z, y and
    x that no name states, in this order; if they are too many, those of one voxel are left out,
    the last one of the file first. If a part names further axes, these come before z. If it has
    ``z=t``, the axis t is z: some programs write sections as times.

    Parameters
    ----------
    names : iterable
        A name for each axis, "" for none; if there are not as many as axes, no axis has one.
    shape : sequence of int
        Number of voxels along each axis.
    path : str
        Name of the file in messages.
    part : Part
        The volume; index 0 on each axis that it does not name.
    x_first : bool
        Whether the format counts axes from x on, so that unnamed ones are x, y and z.

    Raises
    ------
    SourceError
        The names do not state which axes are y and x, an axis is empty, or the part is not in
        the array.
    """
    letters, part = _stated(names, len(shape), part)
    steps = list(range(len(shape)))[:: -1 if x_first else 1]
    named = [letters[axis] for axis in steps if letters[axis]]
    if len(set(named)) < len(named):
        raise SourceError(f"{path} has the axes {', '.join(named)}; allowed is one of each name.")
    missing = [letter for letter in SPACE if letter not in named]
    free = [axis for axis in steps if not letters[axis]]
    for axis in sorted(free, reverse=True):
        if len(free) > len(missing) and shape[axis] == 1:
            free.remove(axis)
    surplus = max(0, len(free) - len(missing))
    others, space = free[:surplus], free[surplus:]
    extra = [letter for letter, _ in part.indexes if letter not in letters and letter not in SPACE]
    if surplus == 1 and not missing and not extra and "c" not in letters:
        extra = ["c"]
    needed = len(missing) - (missing[:1] == ["z"])
    if len(extra) < surplus or len(space) < needed or min(shape, default=0) < 1:
        raise SourceError(_refusal(shape, named, path, surplus, x_first=x_first))
    for axis, letter in zip(others, extra, strict=False):
        letters[axis] = letter
    for axis, letter in zip(reversed(space), reversed(missing), strict=False):
        letters[axis] = letter
    return _placed(letters, shape, path, part)


def _stated(names: Iterable[object], count: int, part: Part) -> tuple[list[str], Part]:
    """Return the letters of axes by their names, and a part after ``z=t`` is applied to them."""
    letters = [letter_of(name) for name in names]
    if len(letters) != count:
        letters = [""] * count
    sections = part.of_axis("z")
    if sections and sections in letters and "z" not in letters:
        letters[letters.index(sections)] = "z"
        part = Part(part.dataset, tuple(each for each in part.indexes if each[0] != "z"))
    return letters, part


def _placed(letters: list[str], shape: Sequence[int], path: str, part: Part) -> VolumeAxes:
    """Return the axes by their letters, and the index of a part on those that are not space."""
    others = {axis: letter for axis, letter in enumerate(letters) if letter not in [*SPACE]}
    choices = {letter: shape[axis] for axis, letter in others.items() if letter}
    for letter, place in part.indexes:
        if letter not in choices:
            there = ", ".join(f"{name} of {n}" for name, n in choices.items()) or "none"
            raise SourceError(f"{path} has no axis {letter} for {letter}={place}; it has {there}.")
    if part.dataset:
        raise SourceError(f"{path} has no part {part.dataset}: it is one array.")
    at = {
        axis: part.index(letter, shape[axis], path) if letter else 0
        for axis, letter in others.items()
    }
    lengths = {letter: choices[letter] for letter in sorted(choices) if choices[letter] > 1}
    zyx = tuple(letters.index(letter) for letter in SPACE if letter in letters)
    return VolumeAxes(zyx, at, lengths)


def _refusal(
    shape: Sequence[int], named: list[str], path: str, surplus: int, *, x_first: bool
) -> str:
    """Return the reason why axes cannot be told apart, and what to write instead."""
    text = (
        f"{path} has axes of {' x '.join(map(str, shape))} voxels; allowed are three, none "
        "empty, and others of one voxel, or named, such as c (channels) and t (time)."
    )
    if named:
        text += f" Names are {', '.join(named)}."
    if surplus and min(shape) > 0:
        places = ",".join(f"{letter}=0" for letter in EXTRA[:surplus])
        which = f"{'last' if x_first else 'first'} {'axis' if surplus == 1 else f'{surplus} axes'}"
        text += f" The path {path}#{places} is one volume of it: index 0 on the {which}."
    return text


def _order(lengths: Iterable[str]) -> list[str]:
    return sorted(lengths, key=lambda letter: (letter != "c", letter != "t", letter))


def places_along(lengths: Mapping[str, int]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield the places of each volume, as a part has them; those at index 0 are left out.

    All channels of a time are together. For `lengths` see `VolumeAxes`.
    """
    order = _order(lengths)
    for number in range(math.prod(lengths.values())):
        indexes, rest = [], number
        for letter in order:
            rest, index = divmod(rest, lengths[letter])
            if index:
                indexes.append((letter, str(index)))
        yield tuple(indexes)


def parts_along(lengths: Mapping[str, int], path: str, dataset: str = "") -> list[Part]:
    """Return the parts of a file that a scan lists, `PARTS` at most; the log states the rest.

    Parameters
    ----------
    lengths : mapping of str to int
        As in `VolumeAxes`.
    path : str
        Name of the file in the log.
    dataset : str
        The dataset of the parts; "" for the default one of the file.

    Returns
    -------
    list of Part
        The first one has index 0 on each axis; it is `WHOLE` without a dataset. All channels of a
        time are together.
    """
    total = math.prod(lengths.values())
    parts = [Part(dataset, indexes) for indexes in islice(places_along(lengths), PARTS)]
    if total > PARTS:
        order = _order(lengths)
        last = Part(dataset, tuple((letter, str(lengths[letter] - 1)) for letter in order))
        log.warning(
            "%s holds %d volumes (%s), of which the first %d are listed; the configuration can "
            "name each: path: %s#%s.",
            path,
            total,
            " x ".join(f"{letter} of {lengths[letter]}" for letter in order),
            PARTS,
            path,
            last,
        )
    return parts
