"""The edit logs of all databases, each against the same suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly.databases.nodb import Nodb
from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from bfly.testing.edits import DurableEditLogSuite, EditLogSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.edits.log import EditLog


class TestMemory(EditLogSuite):
    @pytest.fixture
    def open_log(self) -> Callable[[], EditLog]:
        return Nodb("", RUNTIME()).edit_log


class TestSqlite(DurableEditLogSuite):
    @pytest.fixture
    def open_log(self, tmp_path: Path) -> Callable[[], EditLog]:
        return lambda: Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()


class TestPostgres(DurableEditLogSuite):
    @pytest.fixture
    def open_log(self, new_database: str) -> Callable[[], EditLog]:
        return lambda: Postgres(new_database, RUNTIME()).edit_log()
