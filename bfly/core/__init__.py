"""The documented facade, and what answers each kind of query."""

from bfly.core.core import Core

__all__ = ["Core"]
