"""Meshes, skeletons, segment properties and annotations that are stored below a volume.

The formats: ``meshes.md``, ``skeletons.md``, ``segment_properties.md`` and ``annotations.rst`` in
``src/datasource/precomputed/`` of the Neuroglancer repository. The ``info`` of a volume names
folders of the first three. Each folder has an ``info`` of its own with a ``@type``; only folders of
legacy meshes may lack it.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from bfly.errors import NotAllowed, SourceError
from bfly.sources.codecs.streams import unpacked
from bfly.sources.precomputed.packed import ENDINGS, FORMATS
from bfly.sources.shared.objects import find_object, read_object
from bfly.storage.limits import METADATA, check_length, parsed_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bfly.sources.mips import VoxelSize
    from bfly.sources.shared.kvstore import KeyValueStore
    from bfly.sources.shared.objects import StoredObject

__all__ = ["StoredFile", "StoredLayers"]

log = logging.getLogger(__name__)

KEYS = {
    "neuroglancer_legacy_mesh": "mesh",
    "neuroglancer_multilod_draco": "mesh",
    "neuroglancer_skeletons": "skeletons",
    "neuroglancer_segment_properties": "segment_properties",
    "neuroglancer_annotations_v1": "annotations",
}
"""From the ``@type`` of a folder to the key of a volume's ``info``; annotations have none there."""

NAMED = ("mesh", "skeletons", "segment_properties")
"""Keys of a volume's ``info`` whose value is the name of a folder."""

FOLDERS = 1000
"""Entries of the volume's folder among which layers are searched."""

DEPTH = 3
"""Folders between the volume and a layer's files at most."""

TYPES = 256
"""Layers whose type is remembered."""


class StoredFile(NamedTuple):
    """A file of a layer.

    Parameters
    ----------
    found : StoredObject
        The object.
    ending : str
        One of `ENDINGS` if the object is compressed, or "".
    """

    found: StoredObject
    ending: str


class StoredLayers:
    """Layers below a volume, and their files.

    Parameters
    ----------
    store : KeyValueStore
        Where the volume is.
    info : mapping
        Its ``info``.
    watch : callable
        Called with the path of a file or folder before it is read.

    Attributes
    ----------
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), if the ``info`` states them.
    """

    voxel_size: VoxelSize | None = None

    def __init__(
        self, store: KeyValueStore, info: Mapping[str, Any], watch: Callable[[str], None]
    ) -> None:
        self.store = store
        self._watch = watch
        self._types: OrderedDict[str, str] = OrderedDict()
        self._stated = {key: name for key in NAMED if (name := self._checked(key, info.get(key)))}

    def _checked(self, key: str, name: Any) -> str | None:
        """Return the folder that the ``info`` names, if it is one below the volume."""
        if not isinstance(name, str) or not name:
            return None
        folder = name.removeprefix("./").rstrip("/")
        try:
            self.store.check(folder)
        except NotAllowed as error:
            log.warning("The %s of %s are not served: %s", key, self.store.path, error)
            return None
        return folder

    @cached_property
    def named(self) -> dict[str, str]:
        """Folders by key of the ``info``: those that it names, else the first of that type."""
        found = dict(self._stated)
        for name, key in self._found.items():
            if key != "annotations":
                found.setdefault(key, name)
        return found

    @property
    def annotations(self) -> list[str]:
        """Folders of annotations, by name. Behind a URL they cannot be listed."""
        return [name for name, key in self._found.items() if key == "annotations"]

    @cached_property
    def _found(self) -> dict[str, str]:
        """Keys of the other layers directly below the volume, by folder."""
        names = [name for name in self._folders() if name not in self._stated.values()]
        if self.store.folder is not None:
            for name in names:
                self._watch(f"{self.store.folder}/{name}/info")
        return {name: key for name in names if (key := self._key_of(name))}

    def _folders(self) -> Sequence[str]:
        store = self.store
        if store.folder is not None:
            self._watch(store.folder)
            with store.files.folder(store.folder) as fd, os.scandir(fd) as entries:
                names = [entry.name for entry in islice(entries, FOLDERS) if entry.is_dir()]
            return sorted(names)
        return sorted({name.partition("/")[0] for name in store.entries if name.endswith("/info")})

    def find(self, path: str) -> StoredFile | None:
        """Return a file of a layer, by its path below the volume; None if there is none.

        Raises
        ------
        NotAllowed
            The path leads out of the volume's folder, or out of ``allowed-paths``.
        SourceError
            The file cannot be read.
        """
        if path.endswith("/"):
            return None
        self.store.check(path)
        steps = path.split("/")[:-1]
        folders = ["/".join(steps[: n + 1]) for n in range(min(len(steps), DEPTH))]
        if not any(self._is_layer(folder) for folder in folders):
            return None
        return self._find(path)

    def _is_layer(self, folder: str) -> bool:
        return folder in self._stated.values() or self._key_of(folder) is not None

    def _find(self, path: str) -> StoredFile | None:
        # Servers store objects with a content coding, under their own names.
        for ending in ("",) if self.store.is_remote else ("", *ENDINGS):
            found = find_object(self.store, path + ending)
            if found is not None:
                return StoredFile(found, ending)
        return None

    def read(self, file: StoredFile) -> bytes:
        """Return the whole object of a file as it is stored; errors as `decoded`."""
        found = file.found
        what = f"{self.store.path}: {found.name}"
        check_length(what, found.size or 0, self.store.files.max_chunk)
        stop = METADATA + 1 if found.size is None else found.size
        data = read_object(self.store, found, 0, stop)
        check_length(what, len(data), stop if found.size is not None else METADATA)
        return data

    def decoded(self, file: StoredFile) -> bytes:
        """Return the content of a file.

        Raises
        ------
        SourceError
            It cannot be read, or it is damaged.
        Oversized
            It is, or unpacks to, more bytes than are read at once.
        """
        data = self.read(file)
        if not file.ending:
            return data
        what = f"{self.store.path}: {file.found.name}"
        return unpacked(data, FORMATS[file.ending], self.unpacked_size(file), what)

    def unpacked_size(self, file: StoredFile) -> int:
        """Return the most bytes that the content of a compressed file may have."""
        if file.ending != ".gz" or not file.found.size:
            return METADATA
        size = file.found.size
        stated = int.from_bytes(read_object(self.store, file.found, size - 4, size), "little")
        check_length(f"{self.store.path}: {file.found.name}", stated, self.store.files.max_chunk)
        return stated

    def _key_of(self, folder: str) -> str | None:
        """Return the key of the type that the ``info`` of a folder states; None without one."""
        key = self._types.get(folder)
        if key is None and (key := self._read_key(folder)) is not None:
            if self.store.folder is not None:
                self._watch(f"{self.store.folder}/{folder}/info")
            self._types[folder] = key
            while len(self._types) > TYPES:
                self._types.popitem(last=False)
        return key

    def _read_key(self, folder: str) -> str | None:
        try:
            file = self._find(f"{folder}/info")
            info = parsed_json(self.decoded(file), f"{folder}/info") if file else None
        except (NotAllowed, SourceError) as error:
            log.debug("%s", error)
            return None
        return KEYS.get(str(info.get("@type"))) if isinstance(info, dict) else None
