"""The contract of a database engine as a test suite.

Derive a class and say how a database is opened; pytest then runs everything below::

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
    """What every engine has to pass; what a derived class may set is that of `DatabaseTests`."""
