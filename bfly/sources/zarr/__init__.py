"""Zarr source."""

from bfly.sources.zarr.source import Zarr

__all__ = ["Zarr"]
