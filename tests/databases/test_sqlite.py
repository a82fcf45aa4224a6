from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly.databases.sqlite import Sqlite
from bfly.testing.databases import DatabaseSuite

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.keywords import RUNTIME


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "folder" / "bfly.db")

    def open(self, place: str, runtime: RUNTIME) -> Sqlite:
        return Sqlite(place, runtime)
