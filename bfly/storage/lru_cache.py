"""LRU cache bounded in bytes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from bfly.metrics import CacheMetrics

__all__ = ["LruCache"]

OVERHEAD = 400
"""Bytes of an entry besides its value and key: its place in the dictionary, and its objects."""

MISSING = object()
"""Stands for the value of a key that is not in the cache."""


class LruCache:
    """Keeps the most recently used values, in a bounded number of bytes; thread-safe.

    Parameters
    ----------
    max_bytes : int
        Bytes to use at most.
    metrics : CacheMetrics, optional
        The counters of look-ups, and the gauge of bytes.
    """

    def __init__(self, max_bytes: int, metrics: CacheMetrics | None = None) -> None:
        self.max_bytes = max_bytes
        self._metrics = metrics
        self._cache: OrderedDict[str, Any] = OrderedDict()
        self._sizes: dict[str, int] = {}
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
            value = self._cache.get(key, MISSING)
            if value is not MISSING:
                self._cache.move_to_end(key)
        if self._metrics is not None:
            (self._metrics.misses if value is MISSING else self._metrics.hits).inc()
        return [] if value is MISSING else value

    def get_many(self, keys: Collection[str]) -> list[Any]:
        """Return several values at once, each as `get` does.

        Parameters
        ----------
        keys : collection of str
            Keys passed to `set`.
        """
        misses = 0
        with self._lock:
            values = [self._cache.get(key, MISSING) for key in keys]
            for key, value in zip(keys, values, strict=True):
                if value is MISSING:
                    misses += 1
                else:
                    self._cache.move_to_end(key)
        if self._metrics is not None:
            self._metrics.misses.inc(misses)
            self._metrics.hits.inc(len(values) - misses)
        return [[] if value is MISSING else value for value in values]

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
            self._cache.pop(key, None)
            self._now_memory -= self._sizes.pop(key, 0)
            if size > self.max_bytes:
                return -1
            while self._now_memory + size > self.max_bytes:
                self._now_memory -= self._sizes.pop(self._cache.popitem(last=False)[0])
            self._cache[key] = value
            self._sizes[key] = size
            self._now_memory += size
            if self._metrics is not None:
                self._metrics.nbytes.set(self._now_memory)
            return 0

    def _size_of(self, key: str, value: Any) -> int:
        return self.value_size(value) + sys.getsizeof(key) + OVERHEAD

    def value_size(self, value: Any) -> int:
        """Return the bytes of a value, without the overhead of its entry."""
        return int(getattr(value, "nbytes", sys.getsizeof(value)))
