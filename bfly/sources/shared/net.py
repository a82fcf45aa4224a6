"""One net around every source: what it raises is an error of Butterfly's with the file's name."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from bfly.concurrency.room import SMALL
from bfly.errors import Busy, MissingLibrary, NotAllowed, SourceError
from bfly.storage.limits import check_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import NoReturn

    from bfly.concurrency.room import Room
    from bfly.sources.source import Datasource
    from bfly.storage.files import Files

__all__ = ["can_open", "opened"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

OWN = (NotAllowed, Busy, MissingLibrary, SourceError)
"""The errors that a source raises on purpose."""

FARTHEST = 1 << 62
"""Voxels and bytes of the largest volume; more are damage, and no offset into a file."""

SIZES = (1e-9, 1e15)
"""Nanometres of a voxel, the least and the most; other sizes are damage."""


def can_open(source: type[Datasource], path: str) -> bool:
    """Return whether a format recognises a path; a probe that fails does not."""
    try:
        return source.guess_can_open(path)
    except Exception:
        log.debug("%s: the format %s cannot tell", path, source.name, exc_info=True)
        return False


def opened(source: type[Datasource], path: str, *, files: Files, **options: Any) -> Datasource:
    """Open a channel so that every error has the file's name, and check what it says of itself.

    Parameters
    ----------
    source : type
        The format.
    path, files, **options
        As `Datasource.open` takes them.

    Raises
    ------
    SourceError
        The file cannot be used; an `Oversized` if a chunk takes more than ``max-chunk-size``.
    NotAllowed, MissingLibrary, Busy
        As `Datasource.open`.
    """
    try:
        found = source.open(path, files=files, **options)
        _check(found, files.max_chunk)
    except OWN:
        raise
    except Exception as error:
        _fail(path, error)
    # Callers use it as the source itself.
    return cast("Datasource", _Guarded(found))


def _check(source: Datasource, limit: int) -> None:
    """Refuse scales and voxel sizes that are damage."""
    path, itemsize = source.path, source.dtype.itemsize
    if 0 not in source.scales:
        raise SourceError(f"{path} has no mip 0; it has {list(source.scales)}.")
    for mip, scale in source.scales.items():
        shape, chunk = scale.shape, scale.chunk
        if min(shape) < 1 or math.prod(shape) * itemsize > FARTHEST:
            raise SourceError(
                f"{path} says that mip {mip} has {shape} voxels; allowed are 1 or more along "
                f"each axis, and {FARTHEST} bytes in all."
            )
        if min(chunk) < 1 or max(map(abs, scale.origin)) > FARTHEST:
            raise SourceError(
                f"{path} says that mip {mip} has chunks of {chunk} voxels from {scale.origin} on."
            )
        check_chunk(path, "a chunk", list(map(min, chunk, shape)), itemsize, limit)
    least, most = SIZES
    if source.voxel_size and not all(least <= size <= most for size in source.voxel_size):
        raise SourceError(
            f"{path} says that a voxel has {source.voxel_size} nm; allowed are {least} to {most}."
        )


def _fail(path: str, error: Exception) -> NoReturn:
    """Raise what stands for an error that the source did not raise on purpose."""
    log.debug("%s cannot be used", path, exc_info=error)
    if isinstance(error, MemoryError):
        raise Busy(f"No memory is free to read {path} now.") from error
    reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
    raise SourceError(f"{path} cannot be used: {type(error).__name__}: {reason:.300}.") from error


READS = ("read", "read_into")
"""What unpacks chunks; their first argument is the mip."""

CALLS = ("read_encoded", "stored_as", "reads_at_once", "changed", "state")
"""What else is asked of an open source while it is served."""

LISTS = ("all_files", "listed_files", "gaps")
"""What gives its items one by one, each of which may fail."""


class _Guarded:
    """An open source whose every error is one of Butterfly's; all else is the source's own."""

    def __init__(self, source: Datasource) -> None:
        self._source = source
        chunks = {mip: _nbytes(source, mip) for mip in source.scales}
        for name in READS:
            read = _with_room(getattr(source, name), source.files.room, chunks)
            setattr(self, name, _named(read, source.path))
        for name in CALLS:
            setattr(self, name, _named(getattr(source, name), source.path))
        for name in LISTS:
            setattr(self, name, _named_items(getattr(source, name), source.path))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The format, for callers that ask which one it is."""
        return type(self._source)


def _nbytes(source: Datasource, mip: int) -> int:
    """Return the bytes of a chunk inside the volume."""
    scale = source.scales[mip]
    return math.prod(map(min, scale.chunk, scale.shape)) * source.dtype.itemsize


def _with_room(read: Callable[..., T], room: Room, chunks: Mapping[int, int]) -> Callable[..., T]:
    """Return `read`, which takes room for a chunk of its mip where chunks are large."""
    if max(chunks.values()) <= SMALL:
        return read

    def call(mip: int, *place: Any) -> T:
        with room.taking(chunks[mip]):
            return read(mip, *place)

    return call


def _named(work: Callable[P, T], path: str) -> Callable[P, T]:
    """Return `work` with errors that have the file's name."""

    def call(*args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except OWN:
            raise
        except Exception as error:
            _fail(path, error)

    return call


def _named_items(work: Callable[[], Iterable[T]], path: str) -> Callable[[], Iterator[T]]:
    """Return `work`, which gives items, with errors that have the file's name."""

    def call() -> Iterator[T]:
        try:
            yield from work()
        except OWN:
            raise
        except Exception as error:
            _fail(path, error)

    return call
