"""BigDataViewer: an XML with setups and times, and the HDF5, N5 or OME-Zarr that it names."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.bdv.document import ROOT, read
from bfly.sources.bdv.registration import position_of
from bfly.sources.hdf5.entry import PARTS
from bfly.sources.shared.place import whole_voxels
from bfly.sources.source import Datasource
from bfly.storage.files import is_url, regular
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    import numpy as np

    from bfly.geometry import BoundingBox, Zyx
    from bfly.sources.bdv.document import Document, View
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.storage.files import Files

__all__ = ["BigDataViewer"]

log = logging.getLogger(__name__)

HEAD = 1 << 16
"""Bytes of an XML in which its first element is looked for."""

SHOWN = 10
"""Maximum number of setups that the log names."""


class BigDataViewer(Datasource):
    """An ``.xml`` with ``SpimData``: one setup at one time, ``#setup1,t=2``.

    A setup is also named by its name, if the names of all are distinct. The voxels are those of
    the HDF5, N5 or OME-Zarr that the XML names, which is read as any other. The XML states the
    voxel size and, if its registrations are scales and translations, the position.
    """

    name = "bdv"
    marks = ()
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"xml": ""}

    _voxels: Datasource
    """The open view, of another format."""

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether a file with the ending ``.xml`` begins with ``SpimData``."""
        if not path.lower().endswith(".xml"):
            return False
        try:
            with regular(path) as file:
                return f"<{ROOT}".encode() in file.read(HEAD).replace(b"\0", b"")
        except (OSError, SourceError):
            return False

    @override
    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        # Setups and times may make far more views than an XML has bytes.
        parts = [part for part, _ in islice(read(path, files).views(), PARTS + 1)]
        if len(parts) > PARTS:
            log.warning("%s has more than %d volumes; the first are listed.", path, PARTS)
        return [WHOLE, *parts[1:PARTS]] if parts else ()

    @override
    @classmethod
    def owned(cls, path: str, files: Files) -> Iterable[str]:
        loader = read(path, files).loader
        return [loader.container, *loader.partitions]

    def _open(self) -> None:
        self._watch(self.path)
        document = read(self.path, self.files)
        setup, time = view = _chosen(document, self.part)
        known = next(each for each in document.setups if each.number == setup)
        what = f"{self.path}: setup {setup} at time {time}"
        if view in document.missing:
            raise SourceError(f"{what} is missing: it was not taken, says the XML.")
        source, path, part = document.loader.place(setup, time)
        try:
            self._voxels = source.open(path, files=self.files, part=part)
        except SourceError as error:
            raise type(error)(f"{what} needs {path}: {error}") from error
        self.dtype = self._voxels.dtype
        self._stated_kind, self._dataset = self._voxels._stated_kind, known.name
        size = known.voxel_size
        self._stated = (size, "voxelSize of its ViewSetup") if size else self._voxels._stated
        position = position_of(what, document.transforms.get(view, ()), self.voxel_size)
        self.scales = self._voxels.scales
        if position:
            origin = whole_voxels(self.path, position)
            self.scales = {
                mip: replace(scale, origin=zyx(map(int.__floordiv__, origin, scale.factor)))
                for mip, scale in self.scales.items()
            }
        shape = self.scales[0].shape
        if known.shape not in (None, shape):
            log.warning("%s has %s voxels (zyx), not %s as the XML says.", what, shape, known.shape)
        names = [document.names[each.number] for each in document.setups]
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        log.info("%s is served, %s; its setups are %s.", what, document.names[setup], shown)

    @override
    def changed(self) -> str | None:
        return super().changed() or self._voxels.changed()

    @override
    def all_files(self) -> Iterable[str]:
        yield self.path
        yield from self._voxels.all_files()

    @override
    def state(self) -> str | None:
        return None if is_url(self._voxels.path) else super().state()

    @override
    def gaps(self) -> Iterable[str]:
        return self._voxels.gaps()

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return self._voxels.stored_as(mip)

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        return self._voxels.read_encoded(mip, index, way)

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        return self._voxels.reads_at_once(mip, box)

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        self._voxels.read_into(mip, box, voxels)

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        return self._voxels.read(mip, box)


def _chosen(document: Document, part: Part) -> View:
    """Return the view that a part names.

    Raises
    ------
    SourceError
        It names no setup, or a place that is no time.
    """
    path = document.path
    first = next(document.views(), None)
    if not part and first:
        return first[1]
    others = [letter for letter, _ in part.indexes if letter != "t"]
    numbers = {name: number for number, name in document.names.items()}
    numbers |= {f"setup{setup.number}": setup.number for setup in document.setups}
    wanted = part.dataset or next(iter(numbers))
    if others or wanted not in numbers:
        names = list(document.names.values())[:SHOWN]
        raise SourceError(f"{path} has no part {part}; it has the setups {names} and the axis t.")
    time = document.times[part.index("t", len(document.times), path)]
    return numbers[wanted], time
