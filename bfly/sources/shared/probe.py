"""Metadata that the probe of a format reads, for what a scan asks about the same path next."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.sources.shared.kvstore import KeyValueStore
from bfly.storage.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["probe", "probed"]

_last = threading.local()


class _Probe(KeyValueStore):
    """A store that reads each document once, and nothing outside its path."""

    def __init__(self, path: str) -> None:
        super().__init__(path, Files([path]))
        self._documents: dict[str, dict[str, Any] | None] = {}

    @override
    def json(self, name: str) -> dict[str, Any] | None:
        if name not in self._documents:
            self._documents[name] = super().json(name)
        return self._documents[name]


def probe(path: str) -> Callable[[str], dict[str, Any] | None]:
    """Return the function that reads the documents of a path, for a probe of its format.

    Raises
    ------
    NotAllowed, SourceError
        As `KeyValueStore`.
    """
    _last.store = _Probe(path)
    return _last.store.json  # type: ignore[no-any-return]


def probed(path: str, files: Files) -> Callable[[str], dict[str, Any] | None]:
    """Return the function that `probe` returned last in this thread, if that is of the same path.

    It is returned once only, since files may change; else one that reads with `files`.
    """
    store, _last.store = getattr(_last, "store", None), None
    if store is not None and store.path == path:
        return store.json  # type: ignore[no-any-return]
    return KeyValueStore(path, files).json
