"""Axes of an HDF5 dataset: which are z, y and x, and which count channels or times.

Names are stated by ``axistags`` (vigra, ilastik: JSON with a ``key`` for each axis), by the labels
and scales of dimensions (HDF5 Dimension Scales Specification), or by ``axis_names`` (funlib, where
``^`` marks an axis that is not in space) and ``axes``. They are in the order of the dataset.
A dataset of MATLAB, which has ``MATLAB_class``, has the axes of its array in reverse (MathWorks,
MAT-File Format): images of MATLAB are y, x, z.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.sources.hdf5.attributes import attributes_of
from bfly.sources.hdf5.view import View
from bfly.sources.shared.axes import letter_of
from bfly.storage.limits import parsed_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bfly.storage.part import Part

__all__ = ["NAMING", "Axes", "axes_of"]

log = logging.getLogger(__name__)

MATLAB = "MATLAB_class"

NAMING = ("axistags", "DIMENSION_LABELS", "DIMENSION_LIST", "axis_names", "axes", MATLAB)
"""Attributes that name the axes of a dataset."""

SPACE = ("z", "y", "x")

OF_MATLAB = "yxzct"
"""Axes of an array of MATLAB, in its own order."""

GUESSED = 64
"""Length of the longest axis that is taken for channels though no name says so: features and
affinities have fewer."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes of a dataset.

    Parameters
    ----------
    shape : tuple of int
        Voxels along each axis.
    letters : tuple of str
        ``z``, ``y``, ``x`` or another letter for each axis, such as ``c`` or ``t``; "" for an
        axis of one voxel that is dropped. y and x are among them.
    doubt : str
        A sentence on what was guessed; "" if nothing was.
    """

    shape: tuple[int, ...]
    letters: tuple[str, ...]
    doubt: str = ""

    @property
    def others(self) -> dict[str, int]:
        """Length of each axis of several places that is not in space, by its letter."""
        pairs = zip(self.letters, self.shape, strict=True)
        return {letter: n for letter, n in pairs if letter not in SPACE and n > 1}

    def view(self, part: Part, path: str) -> View:
        """Return the volume that a part names.

        Parameters
        ----------
        part : Part
            Its places on axes count; the default is 0.
        path : str
            Names the file and the dataset in messages.

        Raises
        ------
        SourceError
            The part has a place outside an axis, or on an axis that there is not.
        """
        known = {*self.letters} - {*SPACE, ""}
        for letter, _ in part.indexes:
            if letter not in known:
                raise SourceError(
                    f"{path} has no axis {letter} to choose from; its axes are "
                    f"{', '.join(letter or '(one voxel)' for letter in self.letters)}."
                )
        space = [self.letters.index(axis) if axis in self.letters else None for axis in SPACE]
        at = tuple(
            part.index(letter, n, path) if letter in known else None if letter else 0
            for letter, n in zip(self.letters, self.shape, strict=True)
        )
        return View((space[0], space[1] or 0, space[2] or 0), at)


def axes_of(dataset: Any, path: str) -> Axes:
    """Find the axes of a dataset by their names, or else by their number.

    Parameters
    ----------
    dataset : h5py.Dataset
        An open dataset.
    path : str
        Names the file in messages.

    Raises
    ------
    SourceError
        It has fewer than three axes, or one is empty, or which of them are z, y and x is not
        known.
    """
    shape = tuple(dataset.shape or ())
    what = f"{path}: the dataset {dataset.name} has the shape {shape}"
    if len(shape) < 3 or min(shape) < 1:
        raise SourceError(f"{what}; allowed are three axes (z, y, x) or more, none empty.")
    doubt = ""
    names = _stated(dataset, path)
    letters = [letter_of(name) for name in names]
    if len(names) != len(shape) or not _distinct(letters):
        names, letters = [""] * len(shape), [""] * len(shape)
    free = [axis for axis, letter in enumerate(letters) if not letter]
    left = [axis for axis in SPACE if axis not in letters]
    for axis in reversed(free):
        if len(free) > len(left) and shape[axis] == 1:
            free.remove(axis)
    if len(free) == 4 and (channels := _shortest(shape, free)) is not None:
        free.remove(channels)
        letters[channels] = "c"
        doubt = f"{what} and no names of axes: axis {channels} is taken for channels."
    # A section, or a series of sections, has no z.
    if left[:1] == ["z"] and len(free) == len(left) - 1:
        left = left[1:]
    if len(free) != len(left):
        raise SourceError(
            f"{what}, and axes named {', '.join(names) if any(names) else '(nothing)'}: which of "
            "them are z, y and x is not known. Name them, for example in the attribute axistags."
        )
    if any(names[axis] for axis in free):
        doubt = f"{what} and axes named {', '.join(names)}: some are taken for {', '.join(left)}."
    for axis, letter in zip(free, left, strict=True):
        letters[axis] = letter
    return Axes(shape, tuple(letters), doubt)


def _distinct(letters: Sequence[str]) -> bool:
    named = [letter for letter in letters if letter]
    return len({*named}) == len(named)


def _shortest(shape: Sequence[int], axes: Sequence[int]) -> int | None:
    """Return the first or the last of some axes if it is short, and shorter than all others."""
    ranked = sorted(axes, key=shape.__getitem__)
    few = shape[ranked[0]] <= GUESSED and shape[ranked[0]] < shape[ranked[1]]
    return ranked[0] if few and ranked[0] in (axes[0], axes[-1]) else None


def _stated(dataset: Any, path: str) -> list[str]:
    """Return the name of each axis, "" for those without; empty if there are none."""
    attributes = attributes_of(dataset, NAMING)
    if "axistags" in attributes:
        return _tags(attributes["axistags"], f"{path}: axistags of {dataset.name}")
    if "DIMENSION_LABELS" in attributes or "DIMENSION_LIST" in attributes:
        labels = _each(attributes.get("DIMENSION_LABELS"), dataset.ndim)
        scales = _each(attributes.get("DIMENSION_LIST"), dataset.ndim)
        pairs = zip(labels, scales, strict=True)
        return [_text(label or "") or _scale(dataset, items) for label, items in pairs]
    for name in ("axis_names", "axes"):
        match attributes.get(name):
            case str() as text:
                return list(text)
            case None | bytes() | float() | int():
                continue
            case values:
                return [_text(value) for value in values] if _is_list(values) else []
    if MATLAB in attributes and dataset.ndim <= len(OF_MATLAB):
        return [*OF_MATLAB[: dataset.ndim]][::-1]
    return []


def _is_list(values: Any) -> bool:
    return getattr(values, "ndim", 1) == 1 and hasattr(values, "__len__")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _tags(value: Any, what: str) -> list[str]:
    """Return the keys of axistags; empty, and reported, if they are damaged."""
    try:
        match parsed_json(_text(value).encode(errors="replace"), what):
            case {"axes": [*axes]}:
                # vigra writes ? for an axis that it does not know.
                return [str(axis["key"]).replace("?", "") for axis in axes]
    except (SourceError, TypeError, KeyError) as error:
        log.warning("%s cannot be read: %s", what, error)
    return []


def _each(values: Any, count: int) -> list[Any]:
    """Return the items of an attribute with one for each axis; None for each if it is another."""
    return list(values) if _is_list(values) and len(values) == count else [None] * count


def _scale(dataset: Any, references: Any) -> str:
    """Return the name of the first scale of an axis, or else of its dataset; "" without scales.

    The library's functions for scales end the process on damaged files.
    """
    try:
        for reference in () if references is None else references:
            scale = dataset.file[reference]
            name = attributes_of(scale, ("NAME",)).get("NAME")
            return _text(name) if name else str(scale.name).rpartition("/")[2]
    except (OSError, RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        log.debug("%s: its scales cannot be read: %s", dataset.name, error)
    return ""
