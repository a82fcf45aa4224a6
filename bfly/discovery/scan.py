"""A folder of data → the tree of experiments, by looking at what lies in it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from natsort import natsort_keygen
from rich.console import Console
from rich.text import Text

from bfly import registry
from bfly.config.tree import Channel, Dataset, Experiment, Sample, check_name
from bfly.errors import ConfigError, NotAllowed
from bfly.sources.shared.images import EXTENSIONS
from bfly.sources.shared.net import can_open
from bfly.sources.tiff.source import has_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.storage.files import Files

__all__ = ["Found", "scan"]

REASONS = {
    "h5": "not an HDF5 file",
    "hdf": "not an HDF5 file",
    "hdf5": "not an HDF5 file",
    "json": "neither a pointer to HDF5 files nor a BOSS tile grid nor TileSpecs",
    "map": "not an MRC file",
    "mrc": "not an MRC file",
    "mrc.gz": "not an MRC file",
    "nhdr": "not an NRRD file",
    "nii": "not a NIfTI file",
    "nii.gz": "not a NIfTI file",
    "npy": "not a file of NumPy",
    "nrrd": "not an NRRD file",
    "rec": "not an MRC file",
    "st": "not an MRC file",
    "zip": "an archive of neither zarr, N5 nor precomputed",
}
"""The extensions of files that can be a channel, and what is wrong with one that is not."""

METADATA = ("neuron-soma.json", "synapse-connections.json", "attributes.json", "zarr.json")
"""Files that belong to a dataset, or to a group of arrays: known, and no channels."""

NATURAL = natsort_keygen()
"""The order of the names of sections."""

MOJO = ("tiledVolumeDescription.xml", "w=00000000")
"""What only a Mojo folder, or its tiles, has in it."""


DEPTH = 100
"""Folders in each other that are looked into; data of laboratories have some ten."""


TIMES = 8
"""Ways to a folder that are followed: links among ten folders make millions of them."""


@dataclass(frozen=True)
class Found:
    """What a scan came upon.

    Parameters
    ----------
    experiments : tuple of Experiment
        One, or none where there was no channel.
    skipped : list of tuple of str
        What looked like a channel but is none, as (path, reason).
    others : int
        How many more files there were, which nobody would take for a channel.
    """

    experiments: tuple[Experiment, ...]
    skipped: list[tuple[str, str]]
    others: int


def scan(folder: str, files: Files) -> Found:
    """Find every channel of a known format below a folder.

    The folder is the sample; each folder with channels in it is a dataset. A format is told
    by its content; files of extensions that no format has are not opened.

    Parameters
    ----------
    folder : str
        Where to begin. Links are followed as far as `files` allows.
    files : Files
        Knows the allowed folders.

    Raises
    ------
    ConfigError
        It is no folder, or its name cannot be the name of a sample.
    NotAllowed
        It lies outside the allowed folders.
    """
    top = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(top):
        raise ConfigError(f"{folder} is not a folder.")
    try:
        sample = check_name(os.path.basename(top))
    except ValueError as error:
        raise ConfigError(f"The folder {folder} cannot name a sample: needed is {error}.") from None
    with _progress() as tell:
        walk = _Walk(files, tell)
        walk.visit(top, files.resolve(top), top, frozenset())
    by_name = attrgetter("name")
    names = _dataset_names(walk.channels, top)
    datasets = sorted(
        (
            Dataset(name=names[path], path=path, channels=tuple(sorted(channels, key=by_name)))
            for path, channels in walk.channels.items()
        ),
        key=by_name,
    )
    root = Experiment(name="root", samples=(Sample(name=sample, datasets=tuple(datasets)),))
    return Found((root,) if datasets else (), sorted(walk.skipped), walk.others)


class _Walk:
    """Goes through folders and keeps what it finds: channels by the folder of their dataset."""

    def __init__(self, files: Files, tell: Callable[[str], None]) -> None:
        self.files = files
        self.tell = tell
        sources = dict(registry.find("sources"))
        self.stacks = [source for name, source in sources.items() if name == "stack"]
        self.formats = [source for name, source in sources.items() if name != "stack"]
        self.channels: dict[str, list[Channel]] = defaultdict(list)
        self.skipped: list[tuple[str, str]] = []
        self.others = 0
        self.times: Counter[str] = Counter()

    def visit(self, path: str, real: str, dataset: str, above: frozenset[str]) -> bool:
        """Find what is in a folder or is the folder itself; tell whether it was anything.

        Parameters
        ----------
        path, real : str
            The folder, as it was reached and with its links resolved.
        dataset : str
            The folder that this one is a channel of, if it is one.
        above : frozenset of str
            The real paths of the folders that led here.
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
        if _is_any(self.of_folder({entry.name for entry in entries}), path):
            return self.add(path, dataset)
        if any(entry.name in MOJO for entry in entries):
            return self.skip(path, f"not a whole Mojo volume: {MOJO[0]} is missing or damaged")
        found = False
        folders: list[tuple[str, str]] = []
        images: list[tuple[str, bool]] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            extension = _extension(entry.name)
            target = self.follow(entry, real)
            is_folder, is_file = bool(target) and _is_folder(entry), _is_file(entry)
            if extension in EXTENSIONS and not is_folder:
                images.append((entry.path, bool(target) and is_file))
            elif not target:
                continue
            elif is_folder:
                folders.append((entry.path, target))
            elif extension in REASONS and is_file and entry.name not in METADATA:
                found |= self.file(entry.path, path, REASONS[extension])
            else:
                self.others += entry.name not in METADATA
        for inner, target in folders:
            found |= self.visit(inner, target, path, above | {real})
        volumes = _volumes(images)
        for volume in volumes:
            found |= self.add(volume, path)
        if len(volumes) == len(images):
            return found
        if found:
            self.skip(path, "images beside channels: a stack needs a folder of its own")
            return True
        if not all(there for _, there in images):
            return self.skip(path, "images of which some cannot be reached")
        if not _is_any(self.stacks, path):
            return self.skip(path, "images that cannot be read as a stack")
        return self.add(path, dataset)

    def of_folder(self, names: set[str]) -> Iterator[Any]:
        """Give the formats that a folder may be, by the names of what is in it."""
        for source in self.formats:
            if source.marks is None or not names.isdisjoint(source.marks):
                yield source

    def follow(self, entry: os.DirEntry[str], real: str) -> str:
        """Give where an entry of the folder `real` is, nothing for a link not to be followed."""
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
        """Add a file if it is of a known format; tell whether it is."""
        if _is_any(self.formats, path):
            return self.add(path, dataset)
        return self.skip(path, reason if os.access(path, os.R_OK) else "it cannot be read")

    def add(self, path: str, dataset: str) -> bool:
        """Add a channel to the dataset of a folder; tell whether its name allows it."""
        name = os.path.basename(path)
        try:
            check_name(name)
            check_name(os.path.basename(dataset))
        except ValueError as error:
            return self.skip(path, f"it or its folder has no fit name; needed is {error}")
        self.channels[dataset].append(Channel(name=name, path=path))
        return True

    def skip(self, path: str, reason: str) -> bool:
        """Note what is left out; always False, for what was not found."""
        self.skipped.append((os.fsencode(path).decode(errors="backslashreplace"), reason))
        return False


def _extension(name: str) -> str:
    """Give how a name ends, in lower case and without the dot; both parts of ``nii.gz``."""
    rest, end = os.path.splitext(name.lower())
    both = os.path.splitext(rest)[1] + end
    return both[1:] if both[1:] in REASONS else end[1:]


def _volumes(images: list[tuple[str, bool]]) -> list[str]:
    """Give the TIFFs of several sections among the images of a folder, each a channel of its own.

    The first image, in natural order, says whether they are looked at one by one: a stack may
    have a million.
    """
    readable = [path for path, there in images if there]
    if not readable or not has_sections(first := min(readable, key=NATURAL)):
        return []
    return [path for path in readable if path == first or has_sections(path)]


def _is_any(sources: Iterable[Any], path: str) -> bool:
    return any(can_open(source, path) for source in sources)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, which the system may refuse to say."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _dataset_names(folders: Iterable[str], top: str) -> dict[str, str]:
    """Name each folder by its last part, or by all its parts below `top` where that clashes."""
    last = {folder: os.path.basename(folder) for folder in sorted(folders)}
    times = Counter(last.values())
    names = {folder: name for folder, name in last.items() if times[name] == 1}
    taken = set(names.values())
    for folder in last:
        if folder not in names:
            inner = os.path.relpath(folder, top)
            name = last[folder] if inner == "." else inner.replace("/", "-")
            more = (f"{name}-{number}" for number in count(2))
            names[folder] = next(new for new in chain([name], more) if new not in taken)
            taken.add(names[folder])
    return names


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Lend what shows the folder that is being looked at, where somebody may be watching."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda path: None
        return
    with console.status("") as status:
        yield lambda path: status.update(Text(f"Looking into {path!r}", overflow="ellipsis"))
