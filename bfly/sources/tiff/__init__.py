"""The format tiff."""

from bfly.sources.tiff.source import Tiff

__all__ = ["Tiff"]
