"""Limits on open files and connections; a connection is an open file too."""

from __future__ import annotations

import logging
import resource

__all__ = ["most_connections", "raise_limit"]

log = logging.getLogger(__name__)

ENOUGH = 16_384
"""Open files that suffice for `MOST` connections and all data; the usual limit is 1,024."""

MOST = 4096
"""Connections at once. Each takes about 10 KB of memory, up to 320 KiB while it sends a head."""


def raise_limit() -> None:
    """Raise this process's limit of open files to `ENOUGH`, or as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.info("The limit of open files stays %d: %s", soft, error)


def most_connections() -> int:
    """Return how many connections there may be at once.

    It is a third of the allowed open files: another third may be accepted at once before any
    connection is closed, and a third is left for data.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(8, min(MOST, soft // 3))
