"""Entries of a zip archive, checked before a library reads the archive.

The format: PKWARE's APPNOTE.TXT. Each entry is described twice, before its data and in the
directory at the end. If the two differ, a reader may crash the process.
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

__all__ = ["entries_of", "folder_in"]

LOCAL = struct.Struct("<4sHHHHHIIIHH")
"""Header before an entry's data: signature, version, flags, method, time, date, CRC,
compressed and uncompressed bytes, and the bytes of the name and of the extra fields."""

ENCRYPTED, DESCRIPTOR = 0x1 | 0x40 | 0x2000, 0x8
"""Flags: the data are encrypted; their sizes follow them."""

METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, 93}
"""Compression methods that TensorStore supports: none, Deflate, bzip2, Zstandard."""

ENTRIES = 4_000_000
"""Most entries: sixty times those of an archive without zip64; a million take a second."""

KNOWN = 64
"""Number of archives with cached entries."""

IN_EXTRA = 0xFFFFFFFF
"""Placeholder for a size that is in the zip64 extra field."""


MARKS = ("zarr.json", ".zgroup", ".zarray", "attributes.json", "s0/attributes.json", "info")
"""Documents, one of which is at the top of a volume in chunks."""

OF_FINDER = ("__MACOSX/", ".DS_Store")
"""Entries that macOS adds at the top of an archive."""

_known: OrderedDict[tuple[str, Stamp, int], Mapping[str, int]] = OrderedDict()
"""Entries of the archives checked last; several formats request them in turn."""

_lock = threading.Lock()


def entries_of(file: IO[bytes], path: str, stamp: Stamp, limit: int) -> Mapping[str, int]:
    """Return the uncompressed bytes of each entry by name, after a check of all headers.

    Parameters
    ----------
    file : file object
        The open archive.
    path : str
        Name of the archive in messages.
    stamp : Stamp
        The state of the file.
    limit : int
        Bytes that an entry may take, compressed or not.

    Raises
    ------
    Oversized
        An entry, or the directory, exceeds its limit.
    SourceError
        The archive is damaged, encrypted, or compressed by an unsupported method.
    """
    key = path, stamp, limit
    with _lock:
        entries = _known.get(key)
    if entries is None:
        entries = _entries_of(file, path, limit)
        with _lock:
            _known[key] = entries
            while len(_known) > KNOWN:
                _known.popitem(last=False)
    return entries


def folder_in(entries: Mapping[str, int]) -> str:
    """Return the folder with the volume of an archive, with a slash at its end; "" for its top.

    A folder that was packed as a whole is the only entry at the top. A single-file OME-Zarr has
    none (https://ngff.openmicroscopy.org/rfc/9).

    Parameters
    ----------
    entries : mapping
        See `entries_of`.
    """
    names = [name for name in entries if not name.startswith(OF_FINDER)]
    # What the first and the last name have in common, all have.
    ends = zip(min(names).split("/"), max(names).split("/"), strict=False) if names else ()
    folder = ""
    for one, other in (*ends, ("", None)):
        if any(folder + mark in entries for mark in MARKS):
            return folder
        if one != other:
            break
        folder += f"{one}/"
    return ""


def _entries_of(file: IO[bytes], path: str, limit: int) -> Mapping[str, int]:
    try:
        with zipfile.ZipFile(in_pieces(file, path)) as archive:
            listed = archive.infolist()
        check_number(path, len(listed), ENTRIES, "entries")
        end = os.fstat(file.fileno()).st_size
        for entry in sorted(listed, key=lambda entry: entry.header_offset, reverse=True):
            end = _check(file, entry, end, path, limit)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SourceError(f"{path} is a damaged archive: {error}.") from error
    if len({entry.filename for entry in listed}) < len(listed):
        raise SourceError(f"{path} is a damaged archive: it has several entries of one name.")
    return {entry.filename: entry.file_size for entry in listed}


def _check(file: IO[bytes], entry: zipfile.ZipInfo, end: int, path: str, limit: int) -> int:
    """Compare an entry with the header before its data; return the header's offset.

    Parameters
    ----------
    end : int
        Offset of the next entry, before which this one must end.
    """
    what = f"{path}: the entry {entry.filename!r:.100}"
    if entry.flag_bits & ENCRYPTED:
        raise SourceError(f"{what} is encrypted.")
    if entry.compress_type not in METHODS:
        raise SourceError(f"{what} has the unsupported compression {entry.compress_type}.")
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
