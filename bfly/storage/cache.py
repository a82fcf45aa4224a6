"""LRU cache of tiles, answers and metadata of channels."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from bfly.metrics import CACHE_BYTES, CACHE_HITS, CACHE_MISSES

if TYPE_CHECKING:
    from collections.abc import Collection

    from bfly.keywords import RUNTIME

__all__ = ["Cache"]

OVERHEAD = 400
"""Bytes of an entry besides its value and key: its place in the dictionary, and its objects."""


class Cache:
    """LRU cache bounded in bytes; thread-safe.

    Parameters
    ----------
    _runtime : RUNTIME
        ``_runtime.CACHE.MAX.VALUE`` is the limit in bytes.

    Attributes
    ----------
    _max_memory : int
        The most bytes to use.
    _cache_meta : str
        The key under which a dictionary of keywords holds its own size in bytes.
    _cache : collections.OrderedDict
        The entries, the least recently used first.
    _now_memory : int
        The bytes in use, overheads included.
    """

    def __init__(self, _runtime: RUNTIME) -> None:
        self._max_memory: int = _runtime.CACHE.MAX.VALUE
        self.max_bytes = self._max_memory
        self._cache_meta: str = _runtime.CACHE.META.NAME
        self._cache: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._now_memory = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        """Return a value and make it the most recently used.

        Parameters
        ----------
        key : str
            The key passed to `set`.

        Returns
        -------
        object
            The value, or an empty list if there is none.
        """
        with self._lock:
            entry = self._cache.get(key)
            if entry is None:
                CACHE_MISSES.inc()
                return []
            self._cache.move_to_end(key)
            CACHE_HITS.inc()
            return entry[0]

    def get_many(self, keys: Collection[str]) -> list[Any]:
        """Return several values at once, each as `get` does.

        Parameters
        ----------
        keys : collection of str
            Keys passed to `set`.
        """
        with self._lock:
            entries = [self._cache.get(key) for key in keys]
            for key, entry in zip(keys, entries, strict=True):
                if entry is not None:
                    self._cache.move_to_end(key)
        values = [[] if entry is None else entry[0] for entry in entries]
        misses = entries.count(None)
        CACHE_MISSES.inc(misses)
        CACHE_HITS.inc(len(entries) - misses)
        return values

    def set(self, key: str, value: Any) -> int:
        """Store a value, replacing one with the same key, and evict old entries.

        Parameters
        ----------
        key : str
            Name of the entry.
        value : object
            A numpy array or anything with ``nbytes``, a dictionary with its size under
            `_cache_meta`, or a small object.

        Returns
        -------
        int
            0, or -1 if the value is larger than the whole cache and was not stored.
        """
        size = self._size_of(key, value)
        with self._lock:
            old = self._cache.pop(key, None)
            if old is not None:
                self._now_memory -= old[1]
            if size > self._max_memory:
                return -1
            while self._now_memory + size > self._max_memory:
                self._now_memory -= self._cache.popitem(last=False)[1][1]
            self._cache[key] = value, size
            self._now_memory += size
            CACHE_BYTES.set(self._now_memory)
            return 0

    def _size_of(self, key: str, value: Any) -> int:
        if isinstance(value, dict) and self._cache_meta in value:
            size = int(value[self._cache_meta])
        else:
            size = int(getattr(value, "nbytes", sys.getsizeof(value)))
        return size + sys.getsizeof(key) + OVERHEAD
