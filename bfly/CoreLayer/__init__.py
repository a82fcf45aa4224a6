"""The documented CoreLayer: `Core`, `Cache`, and the layers around them."""

from bfly import AccessLayer, DatabaseLayer, ImageLayer, QueryLayer, UtilityLayer
from bfly.cache import Cache
from bfly.core import Core

__all__ = [
    "AccessLayer",
    "Cache",
    "Core",
    "DatabaseLayer",
    "ImageLayer",
    "QueryLayer",
    "UtilityLayer",
]
