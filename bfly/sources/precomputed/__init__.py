"""Neuroglancer precomputed source."""

from bfly.sources.precomputed.source import Precomputed

__all__ = ["Precomputed"]
