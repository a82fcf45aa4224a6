"""One tile of a TileSpec: its images and their transform."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Bounds", "Picture", "Tile"]


FARTHEST = 2**40
"""Most pixels from the origin of a section; any real section is far smaller."""


NUMBERS = {"AffineModel2D": 6, "RigidModel2D": 3, "TranslationModel2D": 2}
"""Supported transforms, and how many numbers the dataString of each has."""


class Bounds(NamedTuple):
    """A rectangle in the section, in whole pixels of mip 0, stops exclusive."""

    top: int
    left: int
    bottom: int
    right: int


class Picture(NamedTuple):
    """Files of a tile at one level."""

    image: str
    mask: str | None


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile as its entry states it.

    Parameters
    ----------
    z : int
        The section.
    height, width : int
        Size of the image at level 0, in pixels.
    pictures : dict
        Its files by level; each level halves the one before.
    matrix : numpy.ndarray
        Maps pixels (x, y, 1) of the image to those of the section, shape (3, 3).
    bounds : Bounds
        The pixels of the section that the tile may cover.
    """

    z: int
    height: int
    width: int
    pictures: dict[int, Picture]
    matrix: NDArray[np.float64]
    bounds: Bounds

    @classmethod
    def parse(cls, entry: Any, folder: str) -> Tile:
        """Parse an entry of a TileSpec; paths may be relative to `folder`.

        Raises
        ------
        ValueError
            It is not a tile, or cannot be rendered; the message has the reason.
        """
        if not isinstance(entry, dict):
            raise ValueError(f"it is {entry!r:.50}; it has to be an object")
        z = _whole(entry, "z" if "z" in entry else "layer")
        height, width = _whole(entry, "height", 1), _whole(entry, "width", 1)
        matrix = np.eye(3)
        for leaf in _leaves(entry.get("transforms", [])):
            matrix = _affine(leaf) @ matrix
        if abs(np.linalg.det(matrix)) < 1e-9:
            raise ValueError("its transform leaves no area")
        pictures = _pictures(entry.get("mipmapLevels"), folder)
        return cls(z, height, width, pictures, matrix, _bounds(matrix, height, width))

    def level_at(self, mip: int) -> int:
        """Return the level with pixels about as large, in the section, as those of a mip."""
        scale = math.sqrt(abs(np.linalg.det(self.matrix[:2, :2])))
        return max(0, round(mip - math.log2(scale)))

    def stored_at(self, level: int) -> int:
        """Return the coarsest level that has a file and is not coarser than `level`."""
        return max(stored for stored in self.pictures if stored <= level)


def _whole(entry: dict[str, Any], key: str, least: int | None = None) -> int:
    """Return a whole number, which render writes as 12.0."""
    value: Any = entry.get(key)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or value % 1 != 0 or (least is not None and value < least):
        allowed = "a whole number" if least is None else f"a whole number from {least}"
        raise ValueError(f"its {key} is {value!r:.50}; it has to be {allowed}")
    return int(value)


def _leaves(transforms: Any) -> Iterator[dict[str, Any]]:
    """Yield the single transforms of a list, or of render's lists of lists, in order."""
    if isinstance(transforms, dict) and "specList" in transforms:
        transforms = transforms["specList"]
    if isinstance(transforms, list):
        for each in transforms:
            yield from _leaves(each)
    elif isinstance(transforms, dict):
        yield transforms
    else:
        raise ValueError(f"its transforms are {transforms!r:.50}; they have to be a list")


def _affine(transform: dict[str, Any]) -> NDArray[np.float64]:
    """Return the matrix of a transform, with the names and the order of mpicbg."""
    name = str(transform.get("className", transform.get("type"))).rpartition(".")[2]
    if name not in NUMBERS:
        raise ValueError(f"its transform is {name:.50}; allowed are {', '.join(NUMBERS)}")
    data = transform.get("dataString")
    try:
        values = [float(text) for text in str(data).split()]
    except ValueError:
        values = []
    if len(values) != NUMBERS[name] or not all(map(math.isfinite, values)):
        raise ValueError(f"the dataString of its {name} is {data!r:.80}")
    *turn, x, y = values
    if name == "RigidModel2D":
        turn = [math.cos(turn[0]), math.sin(turn[0]), -math.sin(turn[0]), math.cos(turn[0])]
    a, b, c, d = turn or (1, 0, 0, 1)
    return np.array([[a, c, x], [b, d, y], [0, 0, 1]], float)


def _pictures(levels: Any, folder: str) -> dict[int, Picture]:
    if not isinstance(levels, dict) or "0" not in levels:
        raise ValueError("its mipmapLevels have no level 0")
    pictures = {}
    for level, files in levels.items():
        if not level.isdigit() or not isinstance(files, dict) or not files.get("imageUrl"):
            raise ValueError(f"the level {level!r:.20} of its mipmapLevels has no imageUrl")
        mask = files.get("maskUrl")
        pictures[int(level)] = Picture(
            _path(files["imageUrl"], folder), _path(mask, folder) if mask else None
        )
    return pictures


def _path(url: Any, folder: str) -> str:
    """Return the path of a file, stated as a URL or as a plain path."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost") or "\0" in url:
        raise ValueError(f"its image is {url!r:.100}; allowed is the path or file: URL of a file")
    return os.path.join(folder, unquote(parts.path) if parts.scheme else str(url))


def _bounds(matrix: NDArray[np.float64], height: int, width: int) -> Bounds:
    """Return the pixels with centres that may be within the transformed area of the image."""
    u, v = [-0.5, width - 0.5] * 2, [-0.5] * 2 + [height - 0.5] * 2
    x, y, _ = (matrix @ np.array([u, v, [1.0] * 4])).round(6)
    if max(abs(x).max(), abs(y).max()) > FARTHEST:
        raise ValueError(f"its transform leads farther than {FARTHEST} pixels")
    top, left = math.floor(y.min() + 0.5), math.floor(x.min() + 0.5)
    return Bounds(top, left, math.ceil(y.max() + 0.5), math.ceil(x.max() + 0.5))
