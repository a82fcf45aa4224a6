"""HDF5 datasets whose voxels are in other files; here virtual datasets.

The library also searches the working folder, and treats a file that it cannot open as empty. Here
each file is located, checked and opened before HDF5 reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import ceil_div
from bfly.sources.hdf5.external import Elsewhere, External, check_unchanged
from bfly.sources.hdf5.file import Place, beside, is_unbounded, leading_to, locate, open_h5
from bfly.sources.hdf5.packed import check_packed
from bfly.sources.hdf5.voxel_type import fill_of, read_box
from bfly.storage.files import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from bfly.storage.files import Files, Stamp

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["elsewhere"]

DEPTH = 8
"""Maximum nesting depth of virtual datasets."""

FILES = 10_000
"""Maximum number of parts of one virtual dataset."""


def elsewhere(
    files: Files,
    place: Place,
    dataset: Any,
    watch: Callable[[str], None],
    above: tuple[Place, ...] = (),
) -> Elsewhere | None:
    """Locate the files of a virtual or external dataset; return None for any other.

    Parameters
    ----------
    files : Files
        Access to files.
    place : Place
        The dataset.
    dataset : h5py.Dataset
        The same dataset, open.
    watch : callable
        Called with the path of each file before the file is opened.
    above : tuple of Place
        The virtual datasets that use this one as a source.

    Raises
    ------
    SourceError
        A file is missing or damaged, or HDF5 does not report which files it reads.
    NotAllowed
        A file is outside the allowed folders.
    """
    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        return _Virtual(files, place, dataset, watch, (*above, place))
    if plist.get_external_count():
        return External(files, place, dataset, watch)
    return None


class _Axis(NamedTuple):
    """Voxels of a selection along one axis: ``start + step * i`` for i below `length`."""

    start: int
    step: int
    length: int


class _Part(NamedTuple):
    """Mapping from one source to a region of a virtual dataset."""

    target: list[_Axis]
    source: list[_Axis]
    place: Place
    inner: Elsewhere | None
    stamp: Stamp


class _Virtual(Elsewhere):
    def __init__(
        self,
        files: Files,
        place: Place,
        dataset: Any,
        watch: Callable[[str], None],
        above: tuple[Place, ...],
    ) -> None:
        super().__init__(files, place)
        plist = dataset.id.get_create_plist()
        count = plist.get_virtual_count()
        self.what = f"{place.path}: {place.name}"
        if is_unbounded(plist):
            raise SourceError(
                f"{self.what} is a virtual dataset without bound, whose extent depends on "
                f"{plist.get_virtual_filename(0)!r}; allowed are those of a fixed extent."
            )
        if len(above) > DEPTH or count > FILES:
            raise SourceError(
                f"{self.what} is made of {count} parts, {len(above)} virtual datasets deep; "
                f"allowed are {FILES} and {DEPTH}."
            )
        self.plist = plist
        self.parts = [
            self._part(plist, number, dataset.shape, watch, above) for number in range(count)
        ]

    def _part(
        self,
        plist: Any,
        number: int,
        shape: tuple[int, ...],
        watch: Callable[[str], None],
        above: tuple[Place, ...],
    ) -> _Part:
        other, name = plist.get_virtual_filename(number), plist.get_virtual_dsetname(number)
        if "%" in other + name or not other:
            raise SourceError(
                f"{self.what} has the source {other!r}, {name!r}; '%' and no name are not allowed."
            )
        path = self.place.path if other == "." else beside(self.place.path, other)
        with leading_to(self.place.path, self.place.name, path):
            found = locate(self.files, path, name, watch)
            if found is None:
                raise SourceError(f"{path} has no dataset {name}.")
            if found in above:
                raise SourceError(f"{self.what} is, by {path}, its own source.")
            with open_h5(self.files, found.path) as (file, stamp):
                dataset = file[found.name]
                inner = elsewhere(self.files, found, dataset, watch, above)
                source = self._axes(plist.get_virtual_srcspace(number), dataset.shape, path)
            target = self._axes(plist.get_virtual_vspace(number), shape, path)
        if [a.length for a in target if a.length != 1] != [
            a.length for a in source if a.length != 1
        ]:
            raise SourceError(f"{self.what} takes voxels from {path} in another shape.")
        return _Part(target, source, found, inner, stamp)

    def _axes(self, space: Any, shape: tuple[int, ...], path: str) -> list[_Axis]:
        """Return the axes of a selection from a dataset with this shape."""
        kind = space.get_select_type()
        if kind == h5py.h5s.SEL_ALL:
            return [_Axis(0, 1, n) for n in shape]
        if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
            raise SourceError(f"{self.what} takes voxels from {path} that are no regular grid.")
        axes = []
        for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True):
            if count > 1 and block > 1 and stride != block:
                raise SourceError(f"{self.what} takes voxels from {path} in blocks with gaps.")
            axes.append(_Axis(start, 1 if block > 1 or count == 1 else stride, count * block))
        ends = [axis.start + axis.step * (axis.length - 1) for axis in axes]
        if len(ends) != len(shape) or any(e >= n for e, n in zip(ends, shape, strict=True)):
            raise SourceError(
                f"{self.what} takes voxels up to {ends} from {path}, which has the shape {shape}."
            )
        return axes

    def read(self, box: Sequence[slice], dtype: np.dtype[Any]) -> Voxels:
        shape = [side.stop - side.start for side in box]
        voxels = np.full(shape, fill_of(self.plist, dtype), dtype)
        # Where parts overlap, the last one applies in HDF5.
        for part in self.parts:
            self._read_part(part, box, voxels)
        return voxels

    def _read_part(self, part: _Part, box: Sequence[slice], voxels: Voxels) -> None:
        steps = []
        for axis, wanted in zip(part.target, box, strict=True):
            first = max(0, ceil_div(wanted.start - axis.start, axis.step))
            stop = min(axis.length, ceil_div(wanted.stop - axis.start, axis.step))
            if first >= stop:
                return
            steps.append((first, stop))
        place = tuple(
            slice(
                axis.start + axis.step * first - wanted.start,
                axis.start + axis.step * (stop - 1) - wanted.start + 1,
                axis.step,
            )
            for axis, wanted, (first, stop) in zip(part.target, box, steps, strict=True)
        )
        # Axes of length 1 may differ between source and target.
        long = iter([s for axis, s in zip(part.target, steps, strict=True) if axis.length != 1])
        taken = []
        for axis in part.source:
            first, stop = (0, 1) if axis.length == 1 else next(long)
            taken.append((axis.start + axis.step * first, axis.start + axis.step * (stop - 1) + 1))
        dense = self._source(part, [slice(*span) for span in taken], voxels.dtype)
        thinned = dense[tuple(slice(None, None, axis.step) for axis in part.source)]
        voxels[place] = thinned.reshape(voxels[place].shape)

    def _source(self, part: _Part, box: list[slice], dtype: np.dtype[Any]) -> Voxels:
        """Read a box of a source, which must be unchanged."""
        if part.inner is not None:
            check_unchanged(part.place.path, stamp_of(part.place.path), part.stamp)
            return part.inner.read(box, dtype)
        with open_h5(self.files, part.place.path) as (file, stamp):
            check_unchanged(part.place.path, stamp, part.stamp)
            dataset = file[part.place.name]
            if dataset.is_virtual or dataset.external:
                raise SourceChanged(f"{part.place.path} changed on disk while it was read.")
            start, stop = ([getattr(s, end) for s in box] for end in ("start", "stop"))
            check_packed(dataset, part.place.path, self.files.max_chunk, start, stop)
            return read_box(dataset, box, dtype)
