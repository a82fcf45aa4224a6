"""No database at all: everything in memory, forgotten when the program ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.databases.database import Database

if TYPE_CHECKING:
    from bfly.keywords import RUNTIME

__all__ = ["Nodb"]


class Nodb(Database):
    """A database in memory; the arguments are those of `Database`."""

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._paths: dict[str, str] = {}

    @override
    def add_path(self, c_path: str, d_path: str) -> None:
        self._paths[c_path] = d_path

    @override
    def get_path(self, path: str) -> str:
        return self._paths.get(path, "")

    def commit(self) -> None:
        """Do nothing: there is no file."""
