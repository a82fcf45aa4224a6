"""Sizes in Blosc headers, checked before TensorStore decompresses the chunks.

TensorStore allocates the size that a header states, up to 2 GiB, whatever the chunk's shape.
The format: https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import SourceError

if TYPE_CHECKING:
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["BloscHeaders"]

HEADER = 16
"""Bytes of a header; the fifth to the eighth are the uncompressed size, little-endian."""


@dataclass(frozen=True, slots=True)
class BloscHeaders:
    """Headers of chunks that are objects of a store.

    Parameters
    ----------
    store : KeyValueStore
        Store of the objects; not a URL.
    size : int
        Bytes of an uncompressed chunk.
    skip : int
        Bytes of an object before the Blosc header.
    """

    store: KeyValueStore
    size: int
    skip: int = 0

    def check(self, name: str, start: int = 0) -> None:
        """Raise `SourceError` if a chunk states a larger size than its shape allows.

        Parameters
        ----------
        name : str
            Name of the object.
        start : int
            Offset of the chunk in the object, in bytes.
        """
        header = self.store.part(name, start + self.skip, HEADER)
        stated = int.from_bytes(header[4:8], "little") if header else 0
        if stated > self.size:
            raise SourceError(
                f"{self.store.path}: {name} is damaged: a chunk in it states {stated} unpacked "
                f"bytes; the shape of a chunk allows {self.size}."
            )
