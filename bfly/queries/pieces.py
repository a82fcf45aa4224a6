"""A request whose answer is put together from several boxes of one channel."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.queries.data import BoxQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.queries.data import DataQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["PiecesQuery"]


class PiecesQuery(BoxQuery):
    """Base of such requests.

    Parameters
    ----------
    count : int
        Voxels of all boxes together.
    **keywords
        Keywords of `BoxQuery`, without a box.
    """

    mime_type = "application/octet-stream"

    def __init__(self, count: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._count = count

    @property
    @override
    def nbytes(self) -> int:
        return self._count * 8

    @property
    @override
    def memory(self) -> int:
        # The pieces, and their copy in the answer.
        return 2 * self.nbytes + self.chunk_bytes

    @abstractmethod
    def answer(self, read: Callable[[DataQuery], Voxels]) -> bytes:
        """Return the answer.

        Parameters
        ----------
        read : callable
            Returns the voxels of a `part`, as `Core.find_tiles` does.
        """
