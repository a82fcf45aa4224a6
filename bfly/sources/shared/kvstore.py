"""Stores of the objects of chunked formats: a folder, a zip archive, or a server."""

from __future__ import annotations

import os
import zipfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import tensorstore as ts

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.sources.shared.remote import Unclear, document
from bfly.sources.shared.zip_entries import entries_of, folder_in
from bfly.storage.files import is_url
from bfly.storage.limits import METADATA, check_length, parsed_json
from bfly.storage.opening import fd_path, with_reason
from bfly.storage.reads import read_exactly
from bfly.storage.stamps import stamp_from, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.errors import ButterflyError
    from bfly.storage.files import Files

__all__ = ["CONTEXT", "PATIENCE", "KeyValueStore", "check_name", "check_reachable", "failure"]

PATIENCE = 30.0
"""Seconds until a read times out."""

_RETRIES = {"max_retries": 2, "initial_delay": "100ms", "max_delay": "1s"}

CONTEXT = ts.Context(
    {
        # Mostly for shard indexes: Butterfly itself caches tiles.
        "cache_pool": {"total_bytes_limit": 64 << 20},
        "http_request_retries": _RETRIES,
        "s3_request_retries": _RETRIES,
        "gcs_request_retries": _RETRIES,
    }
)
"""TensorStore context that all arrays of the process share."""


class KeyValueStore:
    """Store of objects by name.

    Parameters
    ----------
    path : str
        A folder, a zip archive, or a URL of ``http``, ``https``, ``s3`` or ``gs``. In an archive,
        the only folder at its top is the store.
    files : Files
        Decides which files may be read.

    Attributes
    ----------
    folder : str, optional
        Real path of the folder, if the store is one.
    file : str, optional
        Real path of the archive, if the store is one.
    entries : mapping
        Uncompressed bytes of each entry of an archive.

    Raises
    ------
    NotAllowed
        The path is outside ``allowed-paths``.
    SourceError
        There is no such folder or archive.
    """

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self.folder: str | None = None
        self.file: str | None = None
        self.entries: Mapping[str, int] = {}
        self.files = files
        real = files.resolve(path)
        if is_url(path):
            self._spec = _remote(real)
        elif os.path.isdir(real):
            self.folder = real
            self._spec = {"driver": "file", "path": real + "/"}
        else:
            try:
                with files.file(path) as file:
                    if not zipfile.is_zipfile(file):
                        raise SourceError(f"{path} is neither a folder nor a zip archive.")
                    self._stamp = stamp_from(os.fstat(file.fileno()))
                    entries = entries_of(file, path, self._stamp, files.max_chunk)
            except FileNotFoundError:
                raise SourceError(f"{path} does not exist.") from None
            self.file = real
            self._top = folder_in(entries)
            self.entries = _without(entries, self._top)
            self._spec = _archive(real, self._top)

    def spec(self, name: str = "") -> dict[str, Any]:
        """Return TensorStore's description of the objects below a name.

        Raises
        ------
        NotAllowed
            The name leads out of the store.
        """
        self.check(name)
        return _below(self._spec, name)

    def check(self, name: str) -> None:
        """Raise `NotAllowed` if a name, as metadata state it, leads out of the store."""
        if name:
            check_name(name, self.path)
        if name and self.is_remote:
            self.files.resolve(f"{self.path.rstrip('/')}/{name}")

    @contextmanager
    def checked(self, name: str = "") -> Iterator[dict[str, Any]]:
        """Yield the description that `spec` returns, of exactly the archive that was checked."""
        self.check(name)
        with self.files.open(self.path) as (fd, stamp):
            if stamp != self._stamp:
                # The archive was replaced: check the new one before it is decompressed.
                with open(fd_path(fd), "rb") as file:
                    entries_of(file, self.path, stamp, self.files.max_chunk)
            yield _below(_archive(fd_path(fd), self._top), name)

    def read(self, name: str) -> bytes | None:
        """Return the bytes of an object, None if there is none.

        Raises
        ------
        NotAllowed, SourceError
            The object may not or cannot be read.
        """
        self.check(name)
        if self.folder is not None:
            try:
                return self.files.read_bytes(f"{self.folder}/{name}", METADATA)
            except FileNotFoundError:
                return None
        check_length(f"{self.path}: {name}", self.entries.get(name, 0), METADATA)
        if self.file is not None:
            with self.checked() as spec:
                return self._read(spec, name)
        if self._spec["driver"] == "http":
            with suppress(Unclear):
                return document(f"{self._spec['base_url']}{self._spec['path']}{name}", PATIENCE)
        return self._read(self._spec, name)

    def stored(self, name: str, limit: int) -> bytes | None:
        """Return the bytes of a chunk, None if there is none.

        Raises
        ------
        Oversized
            It has more than `limit` bytes.
        NotAllowed, SourceError
            It may not or cannot be read.
        """
        what = f"{self.path}: {name}"
        if self.folder is not None:
            try:
                return self.files.read_bytes(f"{self.folder}/{name}", limit)
            except FileNotFoundError:
                return None
        check_length(what, self.entries.get(name, 0), limit)
        if self.file is None:
            data = self._read(self._spec, name)
        else:
            with self.checked() as spec:
                data = self._read(spec, name)
        check_length(what, len(data or b""), limit)
        return data

    def size(self, name: str) -> int | None:
        """Return the size in bytes of an object, not behind a URL; None if there is none."""
        if self.folder is None:
            return self.entries.get(name)
        stamp = stamp_of(f"{self.folder}/{name}")
        return None if stamp is None else stamp[1]

    def part(self, name: str, start: int, size: int) -> bytes:
        """Return a range of bytes of an object; fewer, or none, at its end.

        Behind a URL, a start below 0 counts from the end.

        Raises
        ------
        NotAllowed, SourceError
            The object may not or cannot be read.
        """
        if self.is_remote:
            until = start + size or None
            return self._read(self._spec, name, slice(start, until)) or b""
        stop = min(start + size, self.size(name) or 0)
        if not 0 <= start < stop:
            return b""
        if self.folder is None:
            with self.checked() as spec:
                return self._read(spec, name, slice(start, stop)) or b""
        path = f"{self.folder}/{name}"
        with self.files.file(path) as file:
            return read_exactly(file.fileno(), stop - start, start, path)

    def _read(self, spec: dict[str, Any], name: str, part: slice = slice(None)) -> bytes | None:
        try:
            store = ts.KvStore.open(spec, context=CONTEXT).result(PATIENCE)
            if spec["driver"] in ("s3", "gcs") and _is_too_long(store, name):
                raise Oversized(f"{self.path}: {name} has more than {METADATA} bytes of metadata.")
            result = store.read(name, byte_range=part).result(PATIENCE)
        except Oversized:
            raise
        except Exception as error:
            raise failure(f"{self.path}: {name} cannot be read", error) from error
        return result.value if result.state == "value" else None

    @property
    def is_remote(self) -> bool:
        """Whether the store is a URL."""
        return self.folder is None and self.file is None

    def json(self, name: str) -> dict[str, Any] | None:
        """Return the object of a JSON document, None if there is none; raise as `read`."""
        return self.parsed(name, self.read(name))

    def parsed(self, name: str, data: bytes | None) -> dict[str, Any] | None:
        """Return the object in the bytes of a JSON document."""
        if data is None:
            return None
        value = parsed_json(data, f"{self.path}: {name}")
        if not isinstance(value, dict):
            raise SourceError(f"{self.path}: {name} is no JSON object.")
        return value


def check_reachable(url: str, files: Files) -> None:
    """Raise `SourceError` with the reason if a server does not answer.

    A source does not recognise a URL without its metadata; this finds the reason.
    """
    KeyValueStore(url, files).read("info")


def check_name(name: str, where: str) -> None:
    """Raise `NotAllowed` unless a name in metadata leads down from where it is stated.

    Parameters
    ----------
    name : str
        The key of a scale, or the path of an array.
    where : str
        Name of the metadata in the message.
    """
    steps = name.split("/")
    odd = {"%", "\\", *map(chr, range(32)), "\x7f"} & set(name)
    if odd or {"", ".", ".."} & set(steps) or is_url(name):
        raise NotAllowed(
            f"{where}: the name {name!r:.100} is not allowed; allowed are names joined by '/', "
            "none of them empty, '.' or '..', without '%' and '\\'."
        )


def _archive(path: str, folder: str) -> dict[str, Any]:
    """Return TensorStore's description of the content of a folder in a zip archive."""
    return {"driver": "zip", "base": {"driver": "file", "path": path}, "path": folder}


def _without(entries: Mapping[str, int], folder: str) -> Mapping[str, int]:
    """Return the entries in a folder of an archive, by their names there."""
    if not folder:
        return entries
    inside = {name: size for name, size in entries.items() if name.startswith(folder)}
    return {name.removeprefix(folder): size for name, size in inside.items() if name != folder}


def _below(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the description of the objects below a name in `spec`."""
    return {**spec, "path": f"{spec['path']}{name}/"} if name else spec


def _remote(url: str) -> dict[str, Any]:
    """Return TensorStore's description of the objects below a URL."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + "/"
    if parts.scheme in ("http", "https"):
        return {"driver": "http", "base_url": f"{parts.scheme}://{parts.netloc}", "path": path}
    bucket = {"bucket": parts.netloc, "path": unquote(path).lstrip("/")}
    if parts.scheme == "gs":
        return {"driver": "gcs", **bucket}
    # TensorStore's driver reads the variables of the credentials, but not these.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    more = {"endpoint": endpoint, "aws_region": region or (endpoint and "us-east-1")}
    return {"driver": "s3", **bucket, **{key: value for key, value in more.items() if value}}


def _is_too_long(store: Any, name: str) -> bool:
    """Request the byte after the last that metadata may have; servers refuse one past the end."""
    last = slice(METADATA, METADATA + 1)
    try:
        return bool(store.read(name, byte_range=last).result(PATIENCE).state == "value")
    except TimeoutError:
        raise
    except Exception:
        return False


def failure(what: str, error: BaseException) -> ButterflyError:
    """Return the error for a failure of TensorStore: `SourceError`, `Busy` without descriptors.

    The reason is one line, without TensorStore's notes for its own developers.
    """
    if isinstance(error, TimeoutError):
        return SourceError(f"{what}: no answer within {PATIENCE:g} s.")
    text = str(error).partition(" [tensorstore_spec=")[0].partition(" [source locations=")[0]
    return with_reason(f"{what}: {' '.join(text.split())}")
