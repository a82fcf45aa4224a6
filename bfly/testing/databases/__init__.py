"""Conformance suite of database engines.

Derive a class with a method that opens a database; pytest then runs all tests of the suite::

    class TestMyEngine(DatabaseSuite):
        durable = True

        @pytest.fixture
        def place(self, tmp_path):
            return str(tmp_path / "my.db")

        def open(self, place, runtime):
            return MyEngine(place, runtime)
"""

from __future__ import annotations

from bfly.testing.databases.base import NEURON, PATH, SYNAPSE, random_synapses
from bfly.testing.databases.entries import EntryTests
from bfly.testing.databases.files import FileTests
from bfly.testing.databases.loads import LoadTests
from bfly.testing.databases.questions import QuestionTests
from bfly.testing.databases.threads import ThreadTests

__all__ = ["NEURON", "PATH", "SYNAPSE", "DatabaseSuite", "random_synapses"]


class DatabaseSuite(EntryTests, FileTests, LoadTests, QuestionTests, ThreadTests):
    """Tests that every engine has to pass; `DatabaseTests` lists what a derived class may set."""
