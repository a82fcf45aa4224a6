"""The annotations that people make, in all databases, each against the same suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly.databases.nodb import Nodb
from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from bfly.testing.annotations import AnnotationSuite, DurableAnnotationSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.annotations.store import AnnotationStore


class TestMemory(AnnotationSuite):
    @pytest.fixture
    def open_store(self) -> Callable[[], AnnotationStore]:
        return Nodb("", RUNTIME()).annotation_store


class TestSqlite(DurableAnnotationSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], AnnotationStore]:
        return lambda: Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).annotation_store()


class TestPostgres(DurableAnnotationSuite):
    @pytest.fixture
    def open_store(self, new_database: str) -> Callable[[], AnnotationStore]:
        return lambda: Postgres(new_database, RUNTIME()).annotation_store()
