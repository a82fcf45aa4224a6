"""The documented ImageLayer: the base class of sources and the formats."""

from bfly.layers import settle
from bfly.sources.boss import BossGrid
from bfly.sources.hdf5.source import HDF5
from bfly.sources.mojo import Mojo
from bfly.sources.source import Datasource
from bfly.sources.stack import ImageStack

__all__ = ["HDF5", "BossGrid", "Datasource", "ImageStack", "Mojo"]

settle(__name__)
