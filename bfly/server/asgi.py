"""The types of ASGI 3: https://asgi.readthedocs.io/en/latest/specs/main.html."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["ASGIApplication", "Receive", "Scope", "Send"]

Scope = Mapping[str, Any]
"""What a connection is like: its type, method, path and headers."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
"""Waits for the next message of a client."""

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends a message to a client."""

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
"""Answers one request, or speaks over one websocket."""
