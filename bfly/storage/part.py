"""Part of a file or folder that a channel is: ``PATH#volumes/raw``, ``PATH#c=1,t=0``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Self

from bfly.errors import SourceError
from bfly.storage.files import is_url

__all__ = ["WHOLE", "Part", "split_path"]

_INDEX = re.compile(r"([a-z])=([^,=]+)")


@dataclass(frozen=True, slots=True)
class Part:
    """One volume among those that a file or folder holds.

    Parameters
    ----------
    dataset : str
        Path of a dataset or array inside the file or folder; "" for the default one.
    indexes : tuple of tuple of str
        An axis and a place on it for each axis that is not z, y or x: ``("c", "1")``. The place
        is an index from 0 on, or a name where the names of files have names of channels.
    """

    dataset: str = ""
    indexes: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dataset or self.indexes)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        indexes = (f"{axis}={place}" for axis, place in self.indexes)
        return ",".join(filter(None, (self.dataset, *indexes)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text behind ``#`` in a path: a dataset, then places on axes, all optional."""
        items = text.split(",")
        indexes: list[tuple[str, str]] = []
        while items and (found := _INDEX.fullmatch(items[-1])):
            indexes.insert(0, (found[1], found[2]))
            items.pop()
        return cls(",".join(items).strip("/"), tuple(indexes))

    @property
    def inside(self) -> Part:
        """The places on axes alone, for the dataset that the part names."""
        return replace(self, dataset="")

    def of_axis(self, axis: str) -> str | None:
        """Return the place on an axis; None if none is stated."""
        return dict(self.indexes).get(axis)

    def index(self, axis: str, length: int, path: str) -> int:
        """Return the index on an axis, 0 if none is stated.

        Parameters
        ----------
        axis : str
            Name of the axis, such as ``c`` or ``t``.
        length : int
            Number of places on it.
        path : str
            Name of the file in the message.

        Raises
        ------
        SourceError
            The place is not an index from 0 to `length` - 1.
        """
        text = self.of_axis(axis) or "0"
        if not text.isdecimal() or int(text) >= length:
            raise SourceError(f"{path}: {axis} is {text}; allowed are 0 to {length - 1}.")
        return int(text)


WHOLE = Part()
"""The part of a channel that is its file or folder."""


def split_path(path: str) -> tuple[str, Part]:
    """Split the path of a channel into that of a file or folder, and a part of it.

    A path that exists as a whole has no part, though its name has ``#`` in it.
    """
    file, mark, text = path.rpartition("#")
    if not mark or not file or (not is_url(path) and os.path.lexists(path)):
        return path, WHOLE
    return file, Part.parse(text)
