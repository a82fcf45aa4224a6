"""An open channel: its source, its place, and all its mips, stored or computed."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from bfly import registry
from bfly.errors import Absent, SourceError
from bfly.geometry import fit_tile, zyx
from bfly.sources.mips import factor_at, stored_for
from bfly.sources.shared.kvstore import check_reachable
from bfly.sources.shared.net import can_open, opened
from bfly.sources.tile_source import formats
from bfly.storage.files import Files, is_url
from bfly.storage.part import split_path
from bfly.volumes.contrast import sampled_contrast
from bfly.volumes.level import Level

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize
    from bfly.sources.source import Datasource
    from bfly.volumes.channel import ChannelSpec
    from bfly.volumes.pyramid_store import KeptMip, Pyramids

__all__ = ["DEFAULT_VOXEL_SIZE", "Volume"]

log = logging.getLogger(__name__)

SMALLEST_TILE = 128 << 10
"""Bytes: smaller chunks are grouped into one tile, because each tile has a fixed cost."""

TRUST = 1.0
"""Seconds for which files are assumed unchanged after a check."""

DEFAULT_VOXEL_SIZE = (1.0, 1.0, 1.0)
"""Size where neither the file nor the configuration states one: lengths then count voxels.
Protocols that require a unit write nanometres."""

_versions = itertools.count()


class Volume:
    """An open channel.

    Parameters
    ----------
    source : Datasource
        The open source.
    spec : ChannelSpec
        The channel, and its shift from the position that its file states.
    largest_tile : int
        Maximum bytes of a single tile.
    pyramids : Pyramids, optional
        Store of the computed mips on disk.

    Attributes
    ----------
    spec : ChannelSpec
        From the argument.
    voxel_size : tuple of float
        Nanometres (z, y, x) at mip 0; `DEFAULT_VOXEL_SIZE` if none is stated.
    has_voxel_size : bool
        Whether the file or the configuration states the voxel size.
    levels : int
        Number of mips offered: down to one chunk per section.
    coarsest : int
        The last mip: a section is one voxel there, and cannot be halved again.
    room : Room
        Memory budget that must be acquired before a large chunk is decompressed.
    current : bool
        False once a changed file is detected; the channel is then reopened.
    """

    def __init__(
        self,
        source: Datasource,
        spec: ChannelSpec,
        largest_tile: int,
        pyramids: Pyramids | None = None,
    ) -> None:
        self.source, self.spec = source, spec
        self.room = source.files.room
        self.dtype = source.dtype
        self._kind: str | None = None
        self.voxel_size = source.voxel_size or DEFAULT_VOXEL_SIZE
        self.has_voxel_size = source.voxel_size is not None
        self.current = True
        self._prefix = f"{spec.key}#{next(_versions)}"
        self._due = time.monotonic() + TRUST
        itemsize = self.dtype.itemsize
        # The part of a chunk outside the volume is neither read nor divided into tiles.
        scales = {
            mip: replace(scale, chunk=zyx(map(min, scale.chunk, scale.shape)))
            for mip, scale in source.scales.items()
        }
        self._tiles = {
            mip: fit_tile(scale.chunk, scale.shape, itemsize, SMALLEST_TILE, largest_tile)
            for mip, scale in scales.items()
        }
        self._scales, self._offset = scales, spec.voxel_offset
        if spec.unmoved:
            self._offset = spec.voxel_offset[0], 0, 0
            self._scales = {
                mip: replace(scale, origin=(scale.origin[0], 0, 0)) for mip, scale in scales.items()
            }
        self._known_levels: dict[int, Level] = {}
        self._pyramids = pyramids
        self._kept: dict[int, KeptMip | None] = {}
        self._keeping = threading.Lock()
        rows_and_columns = self._scales[0].shape[1:]
        self.coarsest = max((max(rows_and_columns) - 1).bit_length(), *self._scales)
        self.levels = self._count_levels()

    @classmethod
    def open(
        cls,
        spec: ChannelSpec,
        files: Files | None = None,
        largest_tile: int = 1 << 20,
        pyramids: Pyramids | None = None,
    ) -> Volume:
        """Open a channel.

        Raises
        ------
        SourceError
            No source recognises the path, or the source that does cannot open it.
        NotAllowed
            The path is outside the allowed folders.
        Busy
            No file descriptor is left.
        """
        files = files or Files()
        if "\0" in spec.path:
            raise SourceError(f"{spec.path!r} is not a path: it contains a NUL.")
        return files.spared(partial(cls._open, spec, files, largest_tile, pyramids))

    @classmethod
    def _open(
        cls, spec: ChannelSpec, files: Files, largest_tile: int, pyramids: Pyramids | None
    ) -> Volume:
        path, part = split_path(spec.path)
        real = files.resolve(path)
        if not is_url(real):
            if not os.path.exists(real):
                raise SourceError(f"{path} does not exist.")
            if not os.path.isdir(real):
                # Raise the reason that the file cannot be opened, rather than "unknown format".
                with files.open(path):
                    pass
        for source in formats().values():
            if can_open(source, path):
                options = {"kind": spec.kind, "voxel_size": spec.voxel_size, "part": part}
                datasource = opened(source, path, files=files, **options)
                if datasource.voxel_size is None:
                    log.info("%s: its voxel size is not known.", spec.path)
                return cls(datasource, spec, largest_tile, pyramids)
        if is_url(real):
            check_reachable(real, files)
        elif os.path.isdir(real):
            with files.folder(path):
                pass
        raise SourceError(f"{path} is none of the formats {list(registry.names('sources'))}.")

    @property
    def kind(self) -> str:
        """Kind of the voxels, ``image`` or ``segmentation`` (see `Kinded.kind`)."""
        if self._kind is None:
            self._kind = self.source.kind
        return self._kind

    @cached_property
    def contrast(self) -> tuple[float, float] | None:
        """Levels that are best shown as black and white (see `sampled_contrast`)."""
        return sampled_contrast(self.source)

    @property
    def keywords(self) -> dict[str, Any]:
        """Properties of the channel by documented keyword (see `Query.update_source`)."""
        return {
            **self.source.keywords,
            "block-size": [list(self.level(mip).tile) for mip in range(max(self._scales) + 1)],
            "voxel-size": dict(zip("zyx", self.voxel_size, strict=True)),
            "voxel-size-source": self.source.voxel_size_source,
            "volume": self,
        }

    def is_fresh(self) -> bool:
        """Return whether the files may be assumed unchanged, without disk access."""
        return self.current and time.monotonic() < self._due

    def look(self) -> str | None:
        """Check whether a file changed; return its path if so.

        At most a fiftieth of the time is spent on checks, however many files there are.
        """
        start = time.monotonic()
        changed = self.source.changed()
        end = time.monotonic()
        self._due = end + max(TRUST, 50 * (end - start))
        if changed:
            self.current = False
        return changed

    def level(self, mip: int) -> Level:
        """Return a mip, stored or computed, however coarse (see `check_mip`)."""
        level = self._known_levels.get(mip)
        if level is None:
            stored = stored_for(mip, self._scales)
            factor = factor_at(mip, self._scales, self.source.voxel_size)
            scale, tile = self._scales[stored], self._tiles[stored]
            level = Level.make(mip, stored, scale, tile, factor, self._offset)
            self._known_levels[mip] = level
        return level

    def check_mip(self, mip: int) -> None:
        """Check that a mip may be requested; all protocols use this rule.

        Raises
        ------
        Absent
            The mip is coarser than `coarsest`.
        """
        if mip > self.coarsest:
            raise Absent(
                f"There is no mip {mip} of {self.source.path}; there are 0 to {self.coarsest}, "
                "where a section is one voxel."
            )

    def kept(self, mip: int) -> KeptMip | None:
        """Return a computed mip as kept on disk; None if it is stored, or not kept.

        Raises
        ------
        SourceChanged
            A file changed since it was read.
        """
        level = self.level(mip)
        if self._pyramids is None or level.stored == mip:
            return None
        with self._keeping:
            if mip not in self._kept:
                state = self.state
                opened = self._pyramids.open(self.source, state, level) if state else None
                self._kept[mip] = opened
            return self._kept[mip]

    @cached_property
    def state(self) -> str | None:
        """State of the files when it was first asked for (see `Datasource.state`)."""
        return self.source.state()

    def voxel_size_at(self, mip: int) -> VoxelSize:
        """Return the voxel size of a mip in nanometres (z, y, x)."""
        (z, y, x), (k, j, i) = self.voxel_size, self.level(mip).factor
        return z * k, y * j, x * i

    def _count_levels(self) -> int:
        """Count the mips until a section is one chunk of the usual size."""
        mip = 0
        while max(self.level(mip).whole.shape[1:]) > 64:
            mip += 1
        return max(mip, *self._scales) + 1

    def tile_key(self, mip: int, index: Zyx) -> str:
        """Return the cache key of a tile, valid only for this state of the files."""
        return self.tile_keys(mip, [index])[0]

    def tile_keys(self, mip: int, indexes: Iterable[Zyx]) -> list[str]:
        """Return the cache keys of several tiles (see `tile_key`)."""
        prefix = f"{self._prefix}/{mip}"
        return [f"{prefix}/{z}.{y}.{x}" for z, y, x in indexes]
