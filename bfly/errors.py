"""Every error that Butterfly raises on purpose, as one tree.

::

    ButterflyError
    ├── BadRequest        a parameter is not what is allowed
    │   └── TooLarge      the answer would be larger than max-cutout-size
    ├── Absent            nothing exists there: no such page, no such chunk
    ├── Conflict          what others did meanwhile stands against it
    ├── Moved             the page has another address
    ├── NotAllowed        a path is outside allowed-paths, a host or origin is not allowed
    ├── ConfigError       the configuration has mistakes, one per line
    ├── Busy              no memory, threads or files are free now: retry later
    ├── MissingLibrary    an extra has to be installed first
    ├── DatabaseError     the database cannot be used
    └── SourceError       a channel's file cannot be used
        ├── Oversized     something in it is larger than a limit
        └── SourceChanged it changed on disk while it was read

`bfly.protocols.statuses` holds the one table from these classes to HTTP statuses.
"""

__all__ = [
    "Absent",
    "BadRequest",
    "Busy",
    "ButterflyError",
    "ConfigError",
    "Conflict",
    "DatabaseError",
    "MissingLibrary",
    "Moved",
    "NotAllowed",
    "Oversized",
    "SourceChanged",
    "SourceError",
    "TooLarge",
]


class ButterflyError(Exception):
    """Base of all errors whose message is written for users."""


class BadRequest(ButterflyError, ValueError):
    """A parameter has a value that is not allowed; the message lists what is allowed."""


class TooLarge(BadRequest):
    """The answer would take more memory than ``max-cutout-size`` allows."""


class Absent(ButterflyError):
    """Nothing exists at this address, as opposed to something unreadable."""


class Conflict(ButterflyError):
    """What others have done meanwhile stands against the request; the message names it."""


class Moved(ButterflyError):
    """The page has another address.

    Parameters
    ----------
    address : str
        The address, relative to the requested one. Without a query, it keeps the requested one's.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"The page is at {address} instead.")
        self.address = address


class NotAllowed(ButterflyError):
    """A resolved path is outside ``allowed-paths``, or a host or origin is not allowed."""


class ConfigError(ButterflyError):
    """The configuration has mistakes; the message has one line for each."""


class Busy(ButterflyError):
    """No memory, thread or file descriptor is free now; the same request may work later."""

    retry_after = 2
    """Seconds after which a client may retry, sent as ``Retry-After``."""


class MissingLibrary(ButterflyError):
    """An optional library is needed; the message says what to install."""


class DatabaseError(ButterflyError):
    """The database is missing, damaged, of another program, or cannot be reached."""


class SourceError(ButterflyError):
    """A channel's file is missing, damaged, or in a format that cannot be read."""


class Oversized(SourceError):
    """A file, or its decompressed content, exceeds a limit; the message has both sizes."""


class SourceChanged(SourceError):
    """A file changed on disk since it was opened: open it again and retry."""
