"""Log output on stderr and in a file: readable lines, or one JSON object per line."""

from __future__ import annotations

import fcntl
import json
import logging
import logging.handlers
import os
import re
import sys
import time
from datetime import UTC, datetime

__all__ = ["set_up"]

log = logging.getLogger(__name__)

_OURS = "bfly."
"""Prefix of the names of the handlers that `set_up` adds and removes."""

_FIELDS = {
    *vars(logging.makeLogRecord({})),
    "message",
    "asctime",
    "taskName",
    "color_message",
    "left_out",
}
"""Attributes of every record; all others came with ``extra=``."""

_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

LARGEST = 16 << 20
"""Bytes of the log file, some 100,000 lines. A larger file is renamed to ``….1``, which replaces
an older one, and a new file is started."""

LONGEST = 2000
"""Characters of a message; the rest is left out. Butterfly's own messages have at most 500."""

LONGEST_TRACE = 20_000
"""Characters of a traceback; its end is kept."""

MOST_A_MINUTE = 1000
"""Lines per minute from one place of the code, since clients could cause any number."""

_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 10}


def set_up(level: str, path: str | None, as_json: bool = False) -> None:
    """Send the log of Butterfly and of its web server to stderr and to a file.

    Calling it again replaces the earlier handlers. Other libraries are logged from WARNING on.

    Parameters
    ----------
    level : {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        The lowest level that is logged.
    path : str, optional
        The file to append to. If it cannot be written, a warning is logged. If it is moved away,
        a new one is started. If it grows beyond `LARGEST`, it is moved.
    as_json : bool
        Write one JSON object per line: time (UTC), level, logger, message, the record's extra
        fields and, for errors, the traceback.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if (handler.name or "").startswith(_OURS)]:
        root.removeHandler(old)
        old.close()
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger("bfly").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level if name == "uvicorn" else logging.NOTSET)
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    _add("stderr", logging.StreamHandler(sys.stderr), _Json() if as_json else _Short(colour))
    if path is None:
        return
    try:
        file = _BoundedFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        log.warning("The log file %s cannot be written: %s.", path, error.strerror)
    else:
        _add("file", file, _Json() if as_json else _Plain())


def _add(name: str, handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.set_name(_OURS + name)
    handler.setFormatter(formatter)
    handler.addFilter(_Throttle())
    logging.getLogger().addHandler(handler)


class _BoundedFile(logging.handlers.WatchedFileHandler):
    """A log file that several processes write to, and that is moved away once it is large."""

    def reopenIfNeeded(self) -> None:  # noqa: N802
        """Move the file if it is too large; open a new one if this or another process moved it."""
        super().reopenIfNeeded()
        if self.stream is None or os.fstat(self.stream.fileno()).st_size < LARGEST:
            return
        # The lock is on the open file: a process that waited for it sees that the path changed.
        fcntl.flock(self.stream, fcntl.LOCK_EX)
        try:
            here, named = os.fstat(self.stream.fileno()), os.stat(self.baseFilename)
            if (here.st_dev, here.st_ino) == (named.st_dev, named.st_ino):
                os.replace(self.baseFilename, f"{self.baseFilename}.1")
        except OSError:
            # The folder cannot be written to.
            os.truncate(self.stream.fileno(), 0)
        finally:
            fcntl.flock(self.stream, fcntl.LOCK_UN)
        super().reopenIfNeeded()


class _Throttle(logging.Filter):
    """Limits the lines per minute from each place in the code."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Count a line; the first line of a minute gets the number of lines left out before."""
        place, minute = (record.pathname, record.lineno), int(time.monotonic() // 60)
        last, count = self._counts.get(place, (minute, 0))
        if last != minute:
            record.left_out = max(0, count - MOST_A_MINUTE)
            last, count = minute, 0
        self._counts[place] = last, count + 1
        return count < MOST_A_MINUTE


def _message(record: logging.LogRecord) -> str:
    """Return the message, cut to `LONGEST`, and the number of lines left out before it."""
    text = record.getMessage()
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    left_out = getattr(record, "left_out", 0)
    return f"{text} ({left_out} more lines from here were left out)" if left_out else text


def _clean(text: str) -> str:
    """Hide passwords in addresses, and escape control characters that clients sent."""
    return _PASSWORD.sub(r"\1***@", text).translate(_CONTROL).replace("\n", "\n    ")


class _Short(logging.Formatter):
    """For a terminal: the time of day, the level unless it is INFO, the message."""

    def __init__(self, colour: bool = False) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        if self.colour and record.levelname in _COLOURS:
            level = f"\x1b[{_COLOURS[record.levelname]}m{level}\x1b[0m"
        return f"{self.formatTime(record, self.datefmt)} {level}{self.text(record)}"

    def text(self, record: logging.LogRecord) -> str:
        """Return the message and, for an error, its traceback."""
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return _clean(_message(record) + trace[-LONGEST_TRACE:])


class _Plain(_Short):
    """For a file: date and time, the level, the logger, the message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "seconds")
        return f"{time} {record.levelname} {record.name}: {self.text(record)}"


class _Json(logging.Formatter):
    """For machines: one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        extra = {key: value for key, value in vars(record).items() if key not in _FIELDS}
        if record.exc_info:
            extra["traceback"] = self.formatException(record.exc_info)[-LONGEST_TRACE:]
        return _PASSWORD.sub(r"\1***@", json.dumps({**fields, **extra, **fields}, default=str))
