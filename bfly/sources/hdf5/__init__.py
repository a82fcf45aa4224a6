"""HDF5 source."""

from bfly.sources.hdf5.source import HDF5

__all__ = ["HDF5"]
