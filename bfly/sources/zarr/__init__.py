"""The format zarr."""

from bfly.sources.zarr.source import Zarr

__all__ = ["Zarr"]
