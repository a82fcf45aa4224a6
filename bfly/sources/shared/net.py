"""Conversion of every error of a source to a Butterfly error with the file's name."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from bfly.concurrency.room import SMALL
from bfly.errors import Busy, MissingLibrary, NotAllowed, SourceError
from bfly.storage.limits import check_chunk
from bfly.storage.part import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from bfly.concurrency.room import Room
    from bfly.sources.source import Datasource
    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["can_open", "merge_tables_of", "opened", "owned_by", "parts_of"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

OWN = (NotAllowed, Busy, MissingLibrary, SourceError)
"""Errors that a source raises on purpose."""

FARTHEST = 1 << 62
"""Most voxels and bytes of a volume; larger numbers are damage, and no offset into a file."""

SIZES = (1e-9, 1e15)
"""Smallest and largest voxel size in nanometres; other sizes are damage."""


def can_open(source: type[Datasource], path: str) -> bool:
    """Return whether a format recognises a path; False if the probe fails."""
    try:
        return source.guess_can_open(path)
    except Exception:
        log.debug("%s: the probe of the format %s failed", path, source.name, exc_info=True)
        return False


def parts_of(source: type[Datasource], path: str, files: Files) -> Sequence[Part]:
    """Return the parts of a file or folder; the whole of it if they cannot be determined.

    Opening the channel then reports the reason.
    """
    try:
        return source.parts(path, files)
    except Exception:
        log.debug("%s: its parts cannot be determined", path, exc_info=True)
        return (WHOLE,)


def owned_by(source: type[Datasource], path: str, files: Files) -> list[str]:
    """Return the files and folders that a file or folder owns; none if that is unknown."""
    try:
        return list(source.owned(path, files))
    except Exception:
        log.debug("%s: what it owns cannot be determined", path, exc_info=True)
        return []


def merge_tables_of(source: type[Datasource], path: str, files: Files) -> Sequence[str]:
    """Return the merge tables in a file or folder; none if they cannot be determined."""
    try:
        return source.merge_tables(path, files)
    except Exception:
        log.debug("%s: its merge tables cannot be determined", path, exc_info=True)
        return ()


def opened(source: type[Datasource], path: str, *, files: Files, **options: Any) -> Datasource:
    """Open a channel so that every error has the file's name, and check its stated sizes.

    Parameters
    ----------
    source : type
        The format.
    path, files, **options
        As in `Datasource.open`.

    Raises
    ------
    SourceError
        The file cannot be used; `Oversized` if a chunk takes more than ``max-chunk-size``.
    NotAllowed, MissingLibrary, Busy
        As `Datasource.open`.
    """
    try:
        channel = source.open(path, files=files, **options)
        _check(channel, files.max_chunk)
    except OWN:
        raise
    except Exception as error:
        _fail(path, error)
    # Callers use the wrapper as the source itself.
    return cast("Datasource", _Guarded(channel))


def _check(source: Datasource, limit: int) -> None:
    """Raise `SourceError` if scales or voxel sizes are damage."""
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
    """Raise the Butterfly error for one that the source did not raise on purpose."""
    log.debug("%s cannot be used", path, exc_info=error)
    if isinstance(error, MemoryError):
        raise Busy(f"No memory is free to read {path} now.") from error
    reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
    raise SourceError(f"{path} cannot be used: {type(error).__name__}: {reason:.300}.") from error


READS = ("read", "read_into")
"""Methods that decode chunks; their first argument is the mip."""

CALLS = (
    "read_encoded",
    "stored_as",
    "reads_at_once",
    "changed",
    "state",
    "parts",
    "merge_tables",
)
"""Other methods of an open source that are called while it is served."""

LISTS = ("all_files", "listed_files", "gaps")
"""Methods that yield items, each of which may fail."""


class _Guarded:
    """An open source that raises only Butterfly errors; all else is the source's own."""

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
        """Class of the source, for `isinstance`."""
        return type(self._source)


def _nbytes(source: Datasource, mip: int) -> int:
    """Return the bytes of a chunk inside the volume."""
    scale = source.scales[mip]
    return math.prod(map(min, scale.chunk, scale.shape)) * source.dtype.itemsize


def _with_room(read: Callable[..., T], room: Room, chunks: Mapping[int, int]) -> Callable[..., T]:
    """Return `read`, wrapped to reserve room for a chunk of its mip where chunks are large."""
    if max(chunks.values()) <= SMALL:
        return read

    def call(mip: int, *place: Any) -> T:
        with room.taking(chunks[mip]):
            return read(mip, *place)

    return call


def _named(work: Callable[P, T], path: str) -> Callable[P, T]:
    """Return `work`, wrapped to raise errors with the file's name."""

    def call(*args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except OWN:
            raise
        except Exception as error:
            _fail(path, error)

    return call


def _named_items(work: Callable[[], Iterable[T]], path: str) -> Callable[[], Iterator[T]]:
    """Return `work`, which yields items, wrapped to raise errors with the file's name."""

    def call() -> Iterator[T]:
        try:
            yield from work()
        except OWN:
            raise
        except Exception as error:
            _fail(path, error)

    return call
