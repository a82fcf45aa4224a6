"""Objects of a store that are sent to clients as they are: found first, then read in parts."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

import tensorstore as ts
import xxhash

from bfly.errors import SourceChanged, SourceError
from bfly.sources.shared.kvstore import CONTEXT, PATIENCE, failure
from bfly.sources.shared.remote import Unclear, part_of
from bfly.storage.files import read_exactly
from bfly.storage.stamps import stamp_of

if TYPE_CHECKING:
    from bfly.sources.shared.kvstore import KeyValueStore

__all__ = ["HEAD", "StoredObject", "find_object", "read_object"]

HEAD = 64 << 10
"""Bytes that are read of an object behind a URL to find it: all of most skeletons and meshes."""

TOTAL = re.compile(r"total size (\d{1,19})|for value of size (\d{1,19})")
"""How TensorStore states the size of an object that is shorter than the range."""


class StoredObject(NamedTuple):
    """An object of a store.

    Parameters
    ----------
    name : str
        Its name in the store.
    size : int or None
        Its size in bytes; None if a server does not state it.
    tag : str
        Differs between any two states of the object, as far as the store states it.
    head : bytes
        Its first bytes, if they were read to find it.
    """

    name: str
    size: int | None
    tag: str
    head: bytes = b""


def find_object(store: KeyValueStore, name: str) -> StoredObject | None:
    """Return an object of a store; None if there is none.

    Raises
    ------
    NotAllowed
        The name leads out of the store, or out of ``allowed-paths``.
    SourceError
        The object cannot be read.
    """
    store.check(name)
    if store.folder is not None:
        path = f"{store.folder}/{name}"
        if not os.path.isfile(path):
            store.files.resolve(path)
            return None
        with store.files.open(path) as (_, stamp):
            assert stamp is not None
            return StoredObject(name, stamp[1], _tag(stamp))
    if store.file is not None:
        size = None if name.endswith("/") else store.entries.get(name)
        return None if size is None else StoredObject(name, size, _tag(stamp_of(store.file)))
    return _find_remote(store, name)


def read_object(store: KeyValueStore, found: StoredObject, start: int, stop: int) -> bytes:
    """Return the bytes from `start` to before `stop`; fewer, or none, at the end of the object.

    Raises
    ------
    SourceChanged
        The object changed since it was found.
    SourceError
        It cannot be read.
    """
    if found.size is not None:
        stop = min(stop, found.size)
    if start >= stop:
        return b""
    if store.folder is not None:
        path = f"{store.folder}/{found.name}"
        with store.files.open(path) as (fd, stamp):
            if _tag(stamp) != found.tag:
                raise SourceChanged(f"{path} changed on disk while it was read.")
            return read_exactly(fd, stop - start, start, path)
    if store.file is not None:
        return store.part(found.name, start, stop - start)
    if stop <= len(found.head):
        return found.head[start:stop]
    part = _remote_part(store, found.name, start, stop)
    if part is None or (part.tag and part.tag != found.tag):
        raise SourceChanged(f"{store.path}: {found.name} changed while it was read.")
    return part.head


def _tag(state: object) -> str:
    return xxhash.xxh3_128_hexdigest(repr(state).encode())


def _find_remote(store: KeyValueStore, name: str) -> StoredObject | None:
    found = _remote_part(store, name, 0, HEAD)
    if found is None or len(found.head) == HEAD:
        return found
    # The object ends within its head.
    tag = found.tag or _tag(found.head)
    return StoredObject(name, len(found.head), tag, found.head)


def _remote_part(store: KeyValueStore, name: str, start: int, stop: int) -> StoredObject | None:
    """Return an object behind a URL with a part of it as its head."""
    what = f"{store.path}: {name} cannot be read"
    spec = store.spec()
    if spec["driver"] == "http":
        url = f"{spec['base_url']}{spec['path']}{name}"
        try:
            part = part_of(url, start, stop, PATIENCE)
        except Unclear as error:
            raise SourceError(f"{what}: {error.__cause__}") from error
        if part is None:
            return None
        return StoredObject(name, part.size, _tag(part.tag) if part.tag else "", part.data)
    try:
        opened = ts.KvStore.open(spec, context=CONTEXT).result(PATIENCE)
        size = None
        try:
            result = opened.read(name, byte_range=slice(start, stop)).result(PATIENCE)
        except ValueError as error:
            # The range ends behind the object. The message states its size, unless the range also
            # starts behind it.
            if not str(error).startswith("OUT_OF_RANGE"):
                raise
            stated = TOTAL.search(str(error))
            size = int(stated[1] or stated[2]) if stated else None
            rest = slice(start, size) if size is not None and size > start else slice(0, 0)
            result = opened.read(name, byte_range=rest).result(PATIENCE)
    except Exception as error:
        raise failure(what, error) from error
    if result.state != "value":
        return None
    return StoredObject(name, size, _tag(result.stamp.generation), result.value)
