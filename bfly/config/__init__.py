"""The configuration: what is served, and how."""

from bfly.config.config import Config

__all__ = ["Config"]
