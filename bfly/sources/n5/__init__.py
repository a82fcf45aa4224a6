"""N5 source."""

from bfly.sources.n5.source import N5

__all__ = ["N5"]
