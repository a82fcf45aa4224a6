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
            if entry is not None:
                self._cache.move_to_end(key)
        if self._metrics is not None:
            (self._metrics.misses if entry is None else self._metrics.hits).inc()
        return [] if entry is None else entry[0]

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
        if self._metrics is not None:
            misses = entries.count(None)
            self._metrics.misses.inc(misses)
            self._metrics.hits.inc(len(entries) - misses)
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
            if size > self.max_bytes:
                return -1
            while self._now_memory + size > self.max_bytes:
                self._now_memory -= self._cache.popitem(last=False)[1][1]
            self._cache[key] = value, size
            self._now_memory += size
            if self._metrics is not None:
                self._metrics.nbytes.set(self._now_memory)
            return 0

    def _size_of(self, key: str, value: Any) -> int:
        return self._size_of_value(value) + sys.getsizeof(key) + OVERHEAD

    def _size_of_value(self, value: Any) -> int:
        return int(getattr(value, "nbytes", sys.getsizeof(value)))
