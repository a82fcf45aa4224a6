"""The documented AccessLayer: what turns URLs into queries, and messages into edits."""

from bfly import ImageLayer, QueryLayer, UtilityLayer
from bfly.layers import settle
from bfly.protocols.api import API
from bfly.protocols.ndstore import NDStore
from bfly.protocols.pages import Assets as StaticHandler
from bfly.protocols.precomputed import Precomputed
from bfly.protocols.protocol import Protocol
from bfly.server.websocket import WebsocketEndpoint as Websocket

RequestHandler = Protocol

__all__ = [
    "API",
    "ImageLayer",
    "NDStore",
    "Precomputed",
    "Protocol",
    "QueryLayer",
    "RequestHandler",
    "StaticHandler",
    "UtilityLayer",
    "Websocket",
]

settle(__name__)
