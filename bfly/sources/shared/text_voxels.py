"""Voxels that are written as decimal numbers, read as the bytes of their dtype."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

__all__ = ["TextVoxels"]

PIECE = 1 << 20
"""Bytes of text that are converted at once."""

LONGEST = 64
"""Most characters of a number; each takes so much memory while it is converted."""


class TextVoxels(io.RawIOBase):
    """A file of numbers, with white space or commas between them, as one of voxels.

    Integers are read as such, not as floats.

    Parameters
    ----------
    file : file object
        Text, from its position on.
    dtype : numpy.dtype
        Of the voxels.
    """

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any]) -> None:
        self._file, self._dtype = file, dtype
        self._rest, self._ready = b"", b""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes of voxels, at least one unless the text has ended.

        Raises
        ------
        ValueError, OverflowError
            The text has other words than numbers of the dtype.
        """
        while not self._ready and (text := self._text()):
            words = text.replace(b",", b" ").split()
            if b"_" in text or max(map(len, words), default=0) > LONGEST:
                raise ValueError("its text has other words than numbers")
            self._ready = np.array(words).astype(self._dtype).tobytes()
        size = len(self._ready) if size < 0 else size
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _text(self) -> bytes:
        """Return the next piece of the text, whole numbers only; empty at the end."""
        data = self._file.read(PIECE)
        text = self._rest + data
        if not data:
            self._rest = b""
            return text
        # The last number may go on in the next piece.
        end = max(text.rfind(separator) for separator in (b" ", b"\n", b"\t", b"\r", b","))
        text, self._rest = text[: end + 1], text[end + 1 :]
        if len(self._rest) > LONGEST:
            raise ValueError(f"its text has a word of more than {LONGEST} characters")
        return text or b" "
