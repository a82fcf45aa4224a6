"""The documented CoreLayer: `Core`, `Cache`, and the layers around them."""

from bfly import AccessLayer, DatabaseLayer, ImageLayer, QueryLayer, UtilityLayer
from bfly.core.core import Core
from bfly.layers import settle
from bfly.storage.cache import Cache

__all__ = [
    "AccessLayer",
    "Cache",
    "Core",
    "DatabaseLayer",
    "ImageLayer",
    "QueryLayer",
    "UtilityLayer",
]

settle(__name__)
