"""Conformance suite of sources.

Derive a class with a method that writes the format; pytest then runs all tests of the suite::

    class TestMyFormat(SourceSuite):
        source = MyFormat
        dtypes = ("uint8", "uint16")

        def write(self, folder, volume):
            path = folder / "volume.mine"
            my_library.save(path, volume)
            return path
"""

from __future__ import annotations

from bfly.testing.sources.faults import FaultTests
from bfly.testing.sources.reading import ReadingTests
from bfly.testing.sources.statements import StatementTests
from bfly.testing.sources.storing import StoringTests

__all__ = ["SourceSuite"]


class SourceSuite(StatementTests, ReadingTests, StoringTests, FaultTests):
    """Tests that every source has to pass; `SourceTests` lists what a derived class may set."""
