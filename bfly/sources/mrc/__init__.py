"""MRC source."""

from bfly.sources.mrc.source import Mrc

__all__ = ["Mrc"]
