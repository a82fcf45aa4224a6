"""The entries of a zip archive, looked at before a library reads the archive.

The format: PKWARE's APPNOTE.TXT. Each entry is stated twice, in front of its data and in the
directory at the end. A reader that believes one and finds the other may end the process.
"""

from __future__ import annotations

import os
import struct
import threading
import zipfile
from collections import OrderedDict
from typing import IO, TYPE_CHECKING

from bfly.errors import SourceError
from bfly.storage.limits import check_length, check_number, in_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.storage.files import Stamp

__all__ = ["entries_of"]

LOCAL = struct.Struct("<4sHHHHHIIIHH")
"""The header in front of an entry's data: signature, version, flags, method, time, date, CRC,
packed and unpacked bytes, and the bytes of the name and of the extra fields."""

ENCRYPTED, DESCRIPTOR = 0x1 | 0x40 | 0x2000, 0x8
"""Flags: what is packed is encrypted; its sizes follow it."""

METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, 93}
"""How TensorStore unpacks entries: not at all, Deflate, bzip2, Zstandard."""

ENTRIES = 4_000_000
"""As many as an archive without zip64 has sixty times over; they take a second each million."""

KNOWN = 64
"""Archives of which the entries are kept."""

IN_EXTRA = 0xFFFFFFFF
"""Stands for a size that is in the zip64 extra field."""


_known: OrderedDict[tuple[str, Stamp, int], Mapping[str, int]] = OrderedDict()
"""The entries of archives that were looked at last; several formats ask for them in turn."""

_lock = threading.Lock()


def entries_of(file: IO[bytes], path: str, stamp: Stamp, limit: int) -> Mapping[str, int]:
    """Return the bytes that each entry unpacks to, by name; the archive is sound as far as seen.

    Parameters
    ----------
    file : file object
        The archive, open.
    path : str
        Names it in messages.
    stamp : Stamp
        The state of the file.
    limit : int
        Bytes that an entry may take, packed or not.

    Raises
    ------
    Oversized
        An entry, or the directory, takes more than is allowed.
    SourceError
        It is damaged, encrypted, or packed in a way that is not read.
    """
    key = path, stamp, limit
    with _lock:
        known = _known.get(key)
    if known is None:
        known = _entries_of(file, path, limit)
        with _lock:
            _known[key] = known
            while len(_known) > KNOWN:
                _known.popitem(last=False)
    return known


def _entries_of(file: IO[bytes], path: str, limit: int) -> Mapping[str, int]:
    try:
        with zipfile.ZipFile(in_pieces(file, path)) as archive:
            listed = archive.infolist()
        check_number(path, len(listed), ENTRIES, "entries")
        end = os.fstat(file.fileno()).st_size
        for entry in sorted(listed, key=lambda each: each.header_offset, reverse=True):
            end = _check(file, entry, end, path, limit)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SourceError(f"{path} is a damaged archive: {error}.") from error
    if len({entry.filename for entry in listed}) < len(listed):
        raise SourceError(f"{path} is a damaged archive: it has several entries of one name.")
    return {entry.filename: entry.file_size for entry in listed}


def _check(file: IO[bytes], entry: zipfile.ZipInfo, end: int, path: str, limit: int) -> int:
    """Compare an entry with the header in front of its data; return where that begins.

    Parameters
    ----------
    end : int
        Where the next entry begins, before which this one has to end.
    """
    what = f"{path}: the entry {entry.filename!r:.100}"
    if entry.flag_bits & ENCRYPTED:
        raise SourceError(f"{what} is encrypted.")
    if entry.compress_type not in METHODS:
        raise SourceError(f"{what} is packed by the method {entry.compress_type}, not known here.")
    if entry.compress_type != zipfile.ZIP_STORED:
        check_length(what, max(entry.file_size, entry.compress_size), limit)
    head = os.pread(file.fileno(), LOCAL.size, entry.header_offset)
    if len(head) < LOCAL.size:
        raise SourceError(f"{what} is damaged: it begins behind the end of the file.")
    magic, _, flags, method, _, _, crc, packed, size, name, extra = LOCAL.unpack(head)
    there = entry.header_offset + LOCAL.size + name + extra + entry.compress_size
    stated = (entry.CRC, entry.compress_size, entry.file_size)
    agrees = (crc, packed, size) == stated or IN_EXTRA in (packed, size)
    if flags & DESCRIPTOR:
        agrees |= (crc, packed, size) == (0, 0, 0)
    same = magic == b"PK\3\4" and method == entry.compress_type and flags == entry.flag_bits
    raw = entry.compress_type == zipfile.ZIP_STORED
    if not same or not agrees or (raw and entry.compress_size != entry.file_size):
        raise SourceError(f"{what} is damaged: its two headers differ.")
    if there > end:
        raise SourceError(f"{what} is damaged: it overlaps the next one.")
    return entry.header_offset
