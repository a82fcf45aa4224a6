"""Files and folders of a scan that belong to the channel of another file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bfly.sources.shared.net import owned_by
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.sources.source import Datasource
    from bfly.storage.files import Files

__all__ = ["Owned"]


class Owned:
    """The real paths of what channels own (see `Datasource.owned`), and what is below them."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def add(self, source: type[Datasource], path: str, files: Files) -> None:
        """Add what a channel's file owns."""
        self._paths.update(map(os.path.realpath, owned_by(source, path, files)))

    def __contains__(self, path: str) -> bool:
        """Return whether the file or folder of a channel's path, or one above it, is owned."""
        return bool(self._paths) and any(each in self._paths for each in _trail(path))


def _trail(path: str) -> Iterator[str]:
    """Yield the real path of a channel's file or folder, and each folder above it."""
    real = os.path.realpath(split_path(path)[0])
    yield real
    while real != (real := os.path.dirname(real)):
        yield real
