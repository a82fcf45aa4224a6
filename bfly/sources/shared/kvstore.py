"""Where chunked formats keep their objects: a folder, a zip archive, or a server."""

from __future__ import annotations

import os
import zipfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import tensorstore as ts

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.sources.shared.remote import Unclear, document
from bfly.sources.shared.zip_entries import entries_of
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
"""Seconds after which a read that has not come back has failed."""

_RETRIES = {"max_retries": 2, "initial_delay": "100ms", "max_delay": "1s"}

CONTEXT = ts.Context(
    {
        # For the indexes of shards, mostly: tiles are kept by Butterfly itself.
        "cache_pool": {"total_bytes_limit": 64 << 20},
        "http_request_retries": _RETRIES,
        "s3_request_retries": _RETRIES,
        "gcs_request_retries": _RETRIES,
    }
)
"""What all arrays of the process share."""


class KeyValueStore:
    """Objects by their names.

    Parameters
    ----------
    path : str
        A folder, a zip archive, or a URL of ``http``, ``https``, ``s3`` or ``gs``.
    files : Files
        Knows what may be read.

    Attributes
    ----------
    folder : str, optional
        The real folder, if it is one.
    file : str, optional
        The real file of an archive, if it is one.
    entries : mapping
        The bytes that each entry of an archive unpacks to.

    Raises
    ------
    NotAllowed
        It lies outside ``allowed-paths``.
    SourceError
        There is nothing of the sort.
    """

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self.folder: str | None = None
        self.file: str | None = None
        self.entries: Mapping[str, int] = {}
        self._files = files
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
                    self.entries = entries_of(file, path, self._stamp, files.max_chunk)
            except FileNotFoundError:
                raise SourceError(f"{path} does not exist.") from None
            self.file = real
            self._spec = _archive(real)

    def spec(self, name: str = "") -> dict[str, Any]:
        """Return TensorStore's description of the objects below a name.

        Raises
        ------
        NotAllowed
            The name is not that of something in the store.
        """
        self.check(name)
        return _below(self._spec, name)

    def check(self, name: str) -> None:
        """Raise `NotAllowed` unless a name, as data say it, is that of something in the store."""
        if name:
            check_name(name, self.path)
        if name and self.is_remote:
            self._files.resolve(f"{self.path.rstrip('/')}/{name}")

    @contextmanager
    def checked(self, name: str = "") -> Iterator[dict[str, Any]]:
        """Yield a description of an archive as `spec`, of the very file that was checked."""
        self.check(name)
        with self._files.open(self.path) as (fd, stamp):
            if stamp != self._stamp:
                # Another archive took its place: it has to be as sound before it is unpacked.
                with open(fd_path(fd), "rb") as file:
                    entries_of(file, self.path, stamp, self._files.max_chunk)
            yield _below(_archive(fd_path(fd)), name)

    def read(self, name: str) -> bytes | None:
        """Give the bytes of an object, None where there is none.

        Raises
        ------
        NotAllowed, SourceError
            It may not or cannot be read.
        """
        self.check(name)
        if self.folder is not None:
            try:
                return self._files.read_bytes(f"{self.folder}/{name}", METADATA)
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

    def size(self, name: str) -> int | None:
        """Return the bytes of an object that is not behind a URL; None where there is none."""
        if self.folder is None:
            return self.entries.get(name)
        stamp = stamp_of(f"{self.folder}/{name}")
        return None if stamp is None else stamp[1]

    def part(self, name: str, start: int, size: int) -> bytes:
        """Return some bytes of an object that is not behind a URL; fewer, or none, at its end.

        Raises
        ------
        NotAllowed, SourceError
            It may not or cannot be read.
        """
        stop = min(start + size, self.size(name) or 0)
        if not 0 <= start < stop:
            return b""
        if self.folder is None:
            with self.checked() as spec:
                return self._read(spec, name, slice(start, stop)) or b""
        path = f"{self.folder}/{name}"
        with self._files.file(path) as file:
            return read_exactly(file.fileno(), stop - start, start, path)

    def _read(self, spec: dict[str, Any], name: str, part: slice = slice(None)) -> bytes | None:
        try:
            store = ts.KvStore.open(spec, context=CONTEXT).result(PATIENCE)
            if spec["driver"] in ("s3", "gcs") and _is_too_long(store, name):
                raise Oversized(f"{self.path}: {name} has more than {METADATA} bytes of metadata.")
            found = store.read(name, byte_range=part).result(PATIENCE)
        except Oversized:
            raise
        except Exception as error:
            raise failure(f"{self.path}: {name} cannot be read", error) from error
        return found.value if found.state == "value" else None

    @property
    def is_remote(self) -> bool:
        """Whether it is a URL."""
        return self.folder is None and self.file is None

    def json(self, name: str) -> dict[str, Any] | None:
        """Give the object of a JSON document, None where there is none; errors as `read`."""
        return self.parsed(name, self.read(name))

    def parsed(self, name: str, data: bytes | None) -> dict[str, Any] | None:
        """Give the object that is written in the bytes of a document."""
        if data is None:
            return None
        found = parsed_json(data, f"{self.path}: {name}")
        if not isinstance(found, dict):
            raise SourceError(f"{self.path}: {name} is no JSON object.")
        return found


def check_reachable(url: str, files: Files) -> None:
    """Raise `SourceError` with the reason if a server does not answer.

    A source that cannot ask for its metadata does not recognise a URL; this tells why.
    """
    KeyValueStore(url, files).read("info")


def check_name(name: str, where: str) -> None:
    """Raise `NotAllowed` unless a name that data say leads down from where it is said.

    Parameters
    ----------
    name : str
        The key of a scale, or the path of an array.
    where : str
        Names the data in the message.
    """
    steps = name.split("/")
    odd = {"%", "\\", *map(chr, range(32)), "\x7f"} & set(name)
    if odd or {"", ".", ".."} & set(steps) or is_url(name):
        raise NotAllowed(
            f"{where}: the name {name!r:.100} is not allowed; allowed are names joined by '/', "
            "none of them empty, '.' or '..', without '%' and '\\'."
        )


def _archive(path: str) -> dict[str, Any]:
    """Return the description of what is in a zip archive."""
    return {"driver": "zip", "base": {"driver": "file", "path": path}, "path": ""}


def _below(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the description of what is below a name in what another describes."""
    return {**spec, "path": f"{spec['path']}{name}/"} if name else spec


def _remote(url: str) -> dict[str, Any]:
    """Give the description of what lies below a URL."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + "/"
    if parts.scheme in ("http", "https"):
        return {"driver": "http", "base_url": f"{parts.scheme}://{parts.netloc}", "path": path}
    bucket = {"bucket": parts.netloc, "path": unquote(path).lstrip("/")}
    if parts.scheme == "gs":
        return {"driver": "gcs", **bucket}
    # The usual variables, of which TensorStore's driver knows those of the credentials.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    more = {"endpoint": endpoint, "aws_region": region or (endpoint and "us-east-1")}
    return {"driver": "s3", **bucket, **{key: value for key, value in more.items() if value}}


def _is_too_long(store: Any, name: str) -> bool:
    """Ask for the byte behind the last one that metadata may have; an error if it is not there."""
    last = slice(METADATA, METADATA + 1)
    try:
        return bool(store.read(name, byte_range=last).result(PATIENCE).state == "value")
    except TimeoutError:
        raise
    except Exception:
        return False


def failure(what: str, error: BaseException) -> ButterflyError:
    """Return the error for what TensorStore raised: `SourceError`, `Busy` without descriptors.

    The reason is one line, without what TensorStore adds for its own developers.
    """
    if isinstance(error, TimeoutError):
        return SourceError(f"{what}: no answer within {PATIENCE:g} s.")
    text = str(error).partition(" [tensorstore_spec=")[0].partition(" [source locations=")[0]
    return with_reason(f"{what}: {' '.join(text.split())}")
