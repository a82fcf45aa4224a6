"""The format hdf5."""

from bfly.sources.hdf5.source import HDF5

__all__ = ["HDF5"]
