"""The documented QueryLayer: the questions."""

from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.queries.query import Query
from bfly.queries.tile import TileQuery

__all__ = ["DataQuery", "InfoQuery", "Query", "TileQuery"]
