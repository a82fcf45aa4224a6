"""The documented pair of a source, `load_tile` and `preload_source`, on every source."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bfly.encoders.unsigned import unsigned
from bfly.sources.mips import stored_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np

    from bfly.geometry import Scale

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TilePair"]


class _Path(Protocol):
    """What `preload_source` needs of a query."""

    @property
    def path(self) -> str: ...


class _Tile(_Path, Protocol):
    """What `load_tile` needs of a query."""

    @property
    def tile(self) -> Voxels: ...


class TilePair:
    """The two documented names of a source, for queries; the server reads with `read`."""

    scales: Mapping[int, Scale]
    dtype: np.dtype[Any]

    if TYPE_CHECKING:
        name: ClassVar[str]

        @classmethod
        def guess_can_open(cls, path: str) -> bool:
            """Return whether a path is of the format."""

        @classmethod
        def open(cls, path: str) -> Self:
            """Open a channel."""

    @classmethod
    def load_tile(cls, t_query: _Tile) -> Voxels | None:
        """Return the voxels of a `TileQuery`'s tile; None from the base of all sources."""
        return None if inspect.isabstract(cls) else t_query.tile

    @classmethod
    def preload_source(cls, t_query: _Path) -> dict[str, Any]:
        """Return the keywords of a channel, by a query with its path.

        Returns
        -------
        dict
            See `keywords`; empty if the path is not of this format, and from the base of all
            sources.

        Raises
        ------
        SourceError
            The path is of this format, but cannot be opened.
        """
        if inspect.isabstract(cls) or not cls.guess_can_open(t_query.path):
            return {}
        return cls.open(t_query.path).keywords

    @property
    def keywords(self) -> dict[str, Any]:
        """Documented keywords of the open channel.

        ``source-type``, ``block-size`` (a chunk, zyx, for each mip up to the last stored one),
        ``data-type`` and ``dimensions`` (voxels of mip 0 as a mapping of x, y and z). The
        documented ``data-type`` of signed voxels is the unsigned one of the same width.
        """
        z, y, x = self.scales[0].shape
        stored = [stored_for(mip, self.scales) for mip in range(max(self.scales) + 1)]
        return {
            "source-type": self.name,
            "block-size": [list(self.scales[mip].chunk) for mip in stored],
            "data-type": unsigned(self.dtype).name,
            "dimensions": {"x": x, "y": y, "z": z},
        }
