"""Imaris source."""

from bfly.sources.imaris.source import Imaris

__all__ = ["Imaris"]
