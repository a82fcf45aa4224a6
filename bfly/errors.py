"""Every error that Butterfly raises on purpose, as one tree.

::

    ButterflyError
    ├── BadRequest        a parameter is not what is allowed
    │   └── TooLarge      the answer would be larger than max-cutout-size
    ├── Absent            nothing is there: no such page, no such chunk
    ├── NotAllowed        a path leads outside allowed-paths
    ├── ConfigError       the configuration has mistakes, one a line
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
    "DatabaseError",
    "MissingLibrary",
    "NotAllowed",
    "Oversized",
    "SourceChanged",
    "SourceError",
    "TooLarge",
]


class ButterflyError(Exception):
    """Base of all errors that have a message for people."""


class BadRequest(ButterflyError, ValueError):
    """A parameter has a value that is not allowed; the message says what is."""


class TooLarge(BadRequest):
    """The answer would take more memory than ``max-cutout-size`` allows."""


class Absent(ButterflyError):
    """Nothing exists at this place, as opposed to something unreadable."""


class NotAllowed(ButterflyError):
    """A path, its links resolved, lies outside ``allowed-paths``."""


class ConfigError(ButterflyError):
    """The configuration has mistakes; the message has one line for each."""


class Busy(ButterflyError):
    """Memory, threads or file descriptors are all in use now; the same request may work later."""

    retry_after = 2
    """Seconds after which a client may retry, as ``Retry-After`` says it."""


class MissingLibrary(ButterflyError):
    """An optional library is needed; the message says what to install."""


class DatabaseError(ButterflyError):
    """The database is missing, damaged, not ours, or cannot be reached."""


class SourceError(ButterflyError):
    """A channel's file is missing, damaged or of a kind that cannot be read."""


class Oversized(SourceError):
    """A file is, or unpacks to, more than a limit allows; the message has both sizes."""


class SourceChanged(SourceError):
    """A file changed on disk since it was opened: open it again and retry."""
