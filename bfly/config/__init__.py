"""The configuration of a server."""

from bfly.config.config import Config

__all__ = ["Config"]
