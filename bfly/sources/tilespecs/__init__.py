"""The format tilespecs."""

from bfly.sources.tilespecs.source import TileSpecs

__all__ = ["TileSpecs"]
