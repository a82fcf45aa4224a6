"""The documented AccessLayer: what turns URLs into queries."""

from bfly.protocols.api import API
from bfly.protocols.precomputed import Precomputed
from bfly.protocols.protocol import Protocol

__all__ = ["API", "Precomputed", "Protocol"]
