"""The interface of a request for voxels, as cutouts use it."""

# ruff: noqa: D102 - `CutoutQuery` explains the members

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy as np

    from bfly.edits.state import EditState
    from bfly.encoders.encoder import Encoder
    from bfly.geometry import Zyx
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["CutoutRequest"]


class CutoutRequest(Protocol):
    """A request for voxels in a format, its channel open; see `CutoutQuery` for the members."""

    path: str
    state: EditState | None
    view: str

    @property
    def region(self) -> Region: ...
    @property
    def shape(self) -> Zyx: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def start(self) -> Zyx: ...
    @property
    def chunk(self) -> Zyx: ...
    @property
    def sections(self) -> int: ...
    @property
    def axes(self) -> Sequence[int]: ...
    @property
    def plain(self) -> bool: ...
    @property
    def arranged_shape(self) -> Zyx: ...
    @property
    def encoder(self) -> Encoder: ...
    @property
    def shown_kind(self) -> str: ...
    @property
    def mime_type(self) -> str: ...
    def memory_in_parts(self, most: int) -> int: ...
    def slab(self, axis: int, start: int, count: int) -> Self: ...
    def spread(self, voxels: Voxels) -> Voxels: ...
    def arranged(self, voxels: Voxels) -> Voxels: ...
