"""The documented QueryLayer: the questions."""

from bfly import ImageLayer, UtilityLayer
from bfly.layers import settle
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.queries.query import Query
from bfly.queries.tile import TileQuery

__all__ = ["DataQuery", "ImageLayer", "InfoQuery", "Query", "TileQuery", "UtilityLayer"]

settle(__name__)
