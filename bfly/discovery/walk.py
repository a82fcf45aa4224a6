"""Walk through a folder of data, which collects the channels in it and all else that it holds."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from natsort import natsort_keygen

from bfly.config.tree import Channel, check_name
from bfly.discovery.names import free_name, name_of
from bfly.discovery.no_channels import METADATA, SYSTEM, THUMBNAILS
from bfly.discovery.owned import Owned
from bfly.discovery.passed_over import PassedOver
from bfly.discovery.unread import UNREAD, VERSIONS, unread_of
from bfly.errors import NotAllowed
from bfly.sources.shared.image_names import named
from bfly.sources.shared.images import EXTENSIONS, TIFFS
from bfly.sources.shared.net import can_open, merge_tables_of, parts_of
from bfly.sources.tiff.source import Tiff, has_sections
from bfly.sources.tile_source import formats
from bfly.tables.headers import ENDINGS as TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from bfly.sources.source import Datasource
    from bfly.storage.files import Files

__all__ = ["DEPTH", "TIMES", "Walk", "as_text"]

NATURAL = natsort_keygen()
"""Sort key of the names of sections: numbers in them are compared as numbers."""

MOJO = ("tiledVolumeDescription.xml", "w=00000000")
"""Names that only a Mojo folder, or the folder of its tiles, contains."""

DEPTH = 100
"""Levels of nested folders that are scanned; data of laboratories have about ten."""

TIMES = 8
"""Scans of one folder, reached by different links: links among ten folders make millions of
paths."""


class Walk:
    """Visits folders and collects channels, by the folder of their dataset."""

    def __init__(self, files: Files, tell: Callable[[str], None]) -> None:
        self.files = files
        self.tell = tell
        sources = formats()
        self.stacks = [source for name, source in sources.items() if name == "stack"]
        self.formats = [source for name, source in sources.items() if name != "stack"]
        self.endings: dict[str, list[str]] = defaultdict(list)
        for source in self.formats:
            for ending, phrase in source.endings.items():
                self.endings[ending].append(phrase)
        self.read = {*EXTENSIONS, *self.endings}
        self.channels: dict[str, list[Channel]] = defaultdict(list)
        self.names: dict[str, set[str]] = defaultdict(set)
        self.skipped: list[tuple[str, str]] = []
        self.unread: list[tuple[str, str]] = []
        self.others = PassedOver()
        self.tables: list[str] = []
        self.merges: list[tuple[str, str]] = []
        self.times: Counter[str] = Counter()
        self.owned = Owned()

    def visit(self, path: str, real: str, dataset: str, above: frozenset[str]) -> bool:
        """Add the channels in a folder, or the folder itself; return whether there were any.

        Parameters
        ----------
        path, real : str
            The folder, as it was reached, and with its links resolved.
        dataset : str
            The folder of the dataset, if this folder is a channel.
        above : frozenset of str
            The real paths of its parent folders, as they were reached.
        """
        self.tell(path)
        if real in above:
            return self.skip(path, "a link back to a folder that it lies in")
        self.times[real] += 1
        if self.times[real] > TIMES:
            return self.skip(path, f"links lead to it in more than {TIMES} ways")
        if len(above) >= DEPTH:
            return self.skip(path, f"a folder in {DEPTH} others: no deeper ones are looked into")
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            return self.skip(path, f"it cannot be read: {error.strerror}")
        names = {entry.name for entry in entries}
        if source := _first(self.of_folder(names), path):
            return self.add(path, dataset, source)
        if any(entry.name in MOJO for entry in entries):
            return self.skip(path, f"not a whole Mojo volume: {MOJO[0]} is missing or damaged")
        found = False
        folders: list[tuple[str, str]] = []
        images: list[tuple[str, bool]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM:
                continue
            extension = _extension(entry.name, self.endings)
            target = self.follow(entry, real)
            is_folder, is_file = bool(target) and _is_folder(entry), _is_file(entry)
            if extension in EXTENSIONS and not is_folder:
                images.append((entry.path, bool(target) and is_file))
            elif not target:
                continue
            elif is_folder and entry.name.lower() in THUMBNAILS:
                self.skip(entry.path, "a folder of thumbnails")
            elif is_folder:
                folders.append((entry.path, target))
            elif extension in self.endings and is_file and entry.name not in METADATA:
                found |= self.file(entry.path, path, _reason(self.endings[extension]))
            elif is_file and _extension(entry.name, TABLES) in TABLES:
                self.tables.append(entry.path)
            elif is_file and (kind := unread_of(entry.name, self.read, names)):
                self.unread.append((as_text(entry.path), str(kind)))
            elif entry.name not in METADATA:
                self.others.add(as_text(entry.name))
        for inner, target in folders:
            if target in self.owned:
                continue
            found |= self.visit(inner, target, path, above | {real})
        volumes = _volumes(images)
        for volume in volumes:
            found |= self.add(volume, path, Tiff)
        if len(volumes) == len(images):
            return found
        if found:
            first = min((image for image, _ in images if image not in volumes), key=NATURAL)
            self.skip(first, "images beside channels: a stack needs a folder of its own")
            return True
        if not all(there for _, there in images):
            return self.skip(path, "images of which some cannot be reached")
        if not (source := _first(self.stacks, path)):
            return self.skip(path, "images that cannot be read as a stack")
        said = named([os.path.basename(image) for image, _ in images])
        for doubt in said.doubts:
            self.skip(path, f"{doubt}; all are sections of one stack, in the order of their names")
        for name in said.thumbnails:
            self.skip(os.path.join(path, name), "a thumbnail beside sections")
        return self.add(path, dataset, source)

    def of_folder(self, names: set[str]) -> Iterator[Any]:
        """Yield the formats that a folder may have, by the names of its entries."""
        for source in self.formats:
            if source.marks is None or not names.isdisjoint(source.marks):
                yield source

    def follow(self, entry: os.DirEntry[str], real: str) -> str:
        """Return the real path of an entry of the folder `real`; "" for a link not to follow."""
        if not entry.is_symlink():
            return os.path.join(real, entry.name)
        try:
            target = self.files.resolve(entry.path)
        except NotAllowed:
            self.skip(entry.path, "a link that leads outside allowed-paths")
            return ""
        if not os.path.exists(target):
            self.skip(entry.path, "a link that leads nowhere")
            return ""
        return target

    def file(self, path: str, dataset: str, reason: str) -> bool:
        """Add a file if it has a supported format; return whether it has.

        Without a `reason` to report, a file of no format is counted as one that does not look like
        a channel.
        """
        if source := _first(self.formats, path):
            return self.add(path, dataset, source)
        if not reason:
            self.others.add(as_text(os.path.basename(path)))
            return False
        if not os.access(path, os.R_OK):
            return self.skip(path, "it cannot be read")
        if (ending := _extension(path, ())) not in VERSIONS:
            return self.skip(path, reason)
        self.unread.append((as_text(path), str(UNREAD[ending])))
        return False

    def add(self, path: str, dataset: str, source: type[Datasource]) -> bool:
        """Add the channels of a file or folder; return False if the name is not allowed.

        A part of it is a channel ``NAME-PART``, with a number if another has that name. A file
        without a volume, such as a column of a table, counts as one that does not look like a
        channel.
        """
        name = os.path.basename(path)
        try:
            check_name(name)
            check_name(os.path.basename(dataset))
        except ValueError as error:
            return self.skip(path, f"it or its folder has no fit name; needed is {error}")
        parts = parts_of(source, path, self.files)
        for part in parts:
            channel = Channel(
                name=free_name(name_of(name, part), self.names[dataset]),
                path=f"{path}#{part}" if part else path,
            )
            self.channels[dataset].append(channel)
            self.names[dataset].add(channel.name)
        if not parts:
            self.others.add(as_text(name))
        for table in merge_tables_of(source, path, self.files):
            self.merges.append((table, path))
        self.owned.add(source, path, self.files)
        return bool(parts)

    def skip(self, path: str, reason: str) -> bool:
        """Record a skipped path and its reason; return False, since it is not a channel."""
        self.skipped.append((as_text(path), reason))
        return False


def as_text(path: str) -> str:
    """Return a path as text that can be printed, whatever its bytes are."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _extension(name: str, endings: Collection[str]) -> str:
    """Return the extension in lower case, without the dot; both parts of ``nii.gz``."""
    rest, end = os.path.splitext(name.lower())
    both = os.path.splitext(rest)[1] + end
    return both[1:] if both[1:] in endings else end[1:]


def _reason(phrases: Sequence[str]) -> str:
    """Return the reason to report for a file that is none of what its extension may mean.

    It is empty if the extension says little about a file.
    """
    said = list(filter(None, phrases))
    return f"neither {' nor '.join(said)}" if len(said) > 1 else "".join(f"not {a}" for a in said)


def _volumes(images: list[tuple[str, bool]]) -> list[str]:
    """Return the multi-page TIFFs among the images of a folder, each of which is a channel.

    The others are opened only if the first TIFF, in natural order, is one: a stack may have a
    million images.
    """
    readable = [path for path, there in images if there]
    tiffs = [path for path in readable if _extension(path, ()) in TIFFS]
    if not readable or not has_sections(first := min(tiffs or readable, key=NATURAL)):
        return []
    return [path for path in readable if path == first or has_sections(path)]


def _first(sources: Iterable[Any], path: str) -> Any:
    """Return the first format that recognises a path; None if none does."""
    return next((source for source in sources if can_open(source, path)), None)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; False if that cannot be determined."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
