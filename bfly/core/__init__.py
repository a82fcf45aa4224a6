"""The documented facade, and the answer to each kind of query."""

from bfly.core.core import Core

__all__ = ["Core"]
