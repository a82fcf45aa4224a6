"""Imaris: HDF5 with channels, times and resolution levels (see `bfly.sources.imaris.layout`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import Scale
from bfly.sources.hdf5.dataset import Hdf5Dataset
from bfly.sources.hdf5.file import locate
from bfly.sources.hdf5.imaris import ENDING, is_imaris
from bfly.sources.hdf5.levels import mips_of
from bfly.sources.hdf5.plain import has_signature
from bfly.sources.hdf5.source import HDF5
from bfly.sources.imaris.extent import extent_of
from bfly.sources.imaris.layout import Layout
from bfly.sources.shared.axes import axes_of, parts_along
from bfly.sources.shared.place import whole_voxels
from bfly.storage.limits import LEVELS, check_number
from bfly.storage.part import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.sources.shared.axes import VolumeAxes
    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["Imaris"]

log = logging.getLogger(__name__)


class Imaris(HDF5):
    """An ``.ims`` file: one channel at one time, such as ``#c=1,t=2``.

    Datasets are padded to whole chunks; ``ImageSizeX``, … of each level state the voxels that
    count. ``ExtMin0``, ``ExtMax0``, … of the image state its corners, in ``Unit``.
    """

    name = "imaris"
    endings: ClassVar[Mapping[str, str]] = {ENDING: "an Imaris file"}

    @override
    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether a file with the ending ``.ims`` is HDF5 with the layout of Imaris."""
        try:
            is_named = path.lower().endswith(f".{ENDING}")
            return is_named and has_signature(path) and is_imaris(path)
        except (OSError, SourceError):
            return False

    @override
    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        layout = Layout(files, path, lambda _path: None)
        return parts_along(_axes(layout).lengths, path)

    def _open(self) -> None:
        layout = Layout(self.files, self.path, self._watch)
        check_number(self.path, len(layout.levels), LEVELS, "levels")
        axes = _axes(layout, self.part)
        time, channel = layout.times[axes.at[0]], layout.channels[axes.at[1]]
        levels = [self._level(layout, level, time, channel) for level in layout.levels]
        finest, *others = levels
        if finest is None:
            name = layout.channel(0, time, channel)
            raise SourceError(f"{self.path} has no dataset {name}/Data, though others are there.")
        size, position = extent_of(layout, finest.shape)
        self.dtype, self._dataset = finest.dtype, finest.name
        self._stated = (size, "ExtMin and ExtMax of its Image") if size else None
        scale = Scale(finest.shape, finest.chunk, origin=whole_voxels(self.path, position))
        mips = mips_of(self.path, scale, self.dtype, list(filter(None, others)), ())
        self._parts = [(0, finest)]
        self._levels = {mip: level for mip, (level, _) in mips.items()}
        self.scales = {0: scale, **{mip: each for mip, (_, each) in mips.items()}}
        said = [f"{n} {layout.names.get(n, '')}".rstrip() for n in layout.channels]
        log.info("%s: channel %d is served of %s.", self.path, channel, ", ".join(said))
        if layout.images != "1":
            log.warning("%s holds %s images; the first is served.", self.path, layout.images)

    def _level(self, layout: Layout, level: int, time: int, channel: int) -> Hdf5Dataset | None:
        """Open a level of a channel, without its padding; None, and reported, if it is missing."""
        group = layout.channel(level, time, channel)
        place = locate(self.files, self.path, f"{group}/Data", self._watch)
        shape = layout.sizes(level, time, channel)
        if place is None or (level and shape is None):
            what = "dataset Data" if place is None else "ImageSizeX"
            log.warning("%s: the level %d is skipped: %s has no %s.", self.path, level, group, what)
            return None
        dataset = Hdf5Dataset(self.files, place, self._watch)
        if shape is not None:
            dataset.crop(shape)
        else:
            log.warning("%s: %s has no ImageSizeX; it may end with padding.", self.path, group)
        return dataset


def _axes(layout: Layout, part: Part = WHOLE) -> VolumeAxes:
    """Return the axes of a file, of which the first two are time and channel."""
    shape = len(layout.times), len(layout.channels), 1, 1, 1
    return axes_of("tczyx", shape, layout.path, part)
