"""NRRD source."""

from bfly.sources.nrrd.source import Nrrd

__all__ = ["Nrrd"]
