"""The cache of the core: tiles, answers and open channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.metrics import CACHE
from bfly.storage.lru_cache import LruCache

if TYPE_CHECKING:
    from bfly.keywords import RUNTIME

__all__ = ["Cache"]


class Cache(LruCache):
    """The documented cache: an LRU cache with the size and the words of a ``RUNTIME``.

    Parameters
    ----------
    _runtime : RUNTIME
        ``_runtime.CACHE.MAX.VALUE`` is the bound in bytes.

    Attributes
    ----------
    _max_memory : int
        The bound in bytes.
    _cache_meta, _cach_meta : str
        The key under which a dictionary of keywords states its own size in bytes.
    _cache : collections.OrderedDict
        Maps each key to its value, the least recently used first.
    _now_memory : int
        Bytes in use, overheads included.
    """

    def __init__(self, _runtime: RUNTIME) -> None:
        super().__init__(_runtime.CACHE.MAX.VALUE, CACHE)
        self._max_memory = self.max_bytes
        self._cache_meta: str = _runtime.CACHE.META.NAME
        self._cach_meta = self._cache_meta

    @override
    def value_size(self, value: Any) -> int:
        """Return the bytes of a value; those of a dictionary may be stated in it."""
        if isinstance(value, dict) and self._cache_meta in value:
            return int(value[self._cache_meta])
        return super().value_size(value)
