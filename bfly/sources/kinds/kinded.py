"""Kind of a source, ``image`` or ``segmentation``, decided when it is first needed."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from bfly.sources.kinds.judgement import Judgement, by_dtype, by_voxels
from bfly.sources.kinds.sample import sampled
from bfly.sources.kinds.stated import inside, kind_of_place, names_of
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np

    from bfly.geometry import BoundingBox, Scale
    from bfly.sources.kinds.stated import Stated
    from bfly.storage.files import Files

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Kinded"]

log = logging.getLogger(__name__)


class Kinded:
    """The base of `Datasource` that knows what its voxels are: grey values, or ids.

    A derived class reads boxes. `_open` may set what the file states.
    """

    path: str
    files: Files
    scales: Mapping[int, Scale]
    dtype: np.dtype[Any]

    _kind: str | None
    """Kind in the configuration, if it states one."""

    _stated_kind: Stated | None = None
    """Kind that the file states, and what states it; set by `_open`."""

    _has_colours = False
    """Whether the file has colours, of which the voxels of an image are the luminance; set by
    `_open`."""

    _dataset = ""
    """Path of the array inside the file or folder; set by `_open`."""

    def __init__(self) -> None:
        self._judgement: Judgement | None = None
        self._judging = threading.RLock()
        self._is_judging = False

    @property
    def kind(self) -> str:
        """Kind, ``image`` or ``segmentation``; decides how voxels are averaged and shown.

        The first access may read a few voxels.
        """
        return self._judged().kind

    @property
    def kind_source(self) -> str:
        """Origin of the kind: ``config``, ``edits: …``, ``file: …``, ``voxels: …`` or another.

        The others are ``name: …`` and ``dtype: …``.
        """
        return self._judged().source

    @property
    def kind_doubt(self) -> str:
        """Reason that the kind may be wrong; empty if there is none."""
        return self._judged().doubt

    @property
    def is_unread(self) -> bool:
        """Whether the kind was decided without voxels, since none could be read."""
        return self._judgement is not None and self._judgement.is_unread

    def is_edited(self) -> None:
        """Make the source a segmentation, since there are edits of its labels."""
        self._judgement = Judgement("segmentation", "edits: labels were merged or split")

    def read_to_judge(self, mip: int, box: BoundingBox) -> Voxels:
        """Read a box as `Datasource.read`, in a way that does not depend on the kind."""
        return self.read(mip, box)

    if TYPE_CHECKING:

        def read(self, mip: int, box: BoundingBox) -> Voxels:
            """Read a box of voxels."""

    def _judged(self) -> Judgement:
        if self._judgement is None:
            with self._judging:
                if self._is_judging:
                    # A read asks for the kind that it is to decide.
                    return by_dtype(self.dtype)
                if self._judgement is None:
                    self._is_judging = True
                    try:
                        self._judgement = self._judge()
                    finally:
                        self._is_judging = False
        return self._judgement

    def _judge(self) -> Judgement:
        if self._kind:
            return Judgement(self._kind, "config")
        stated = self._stated_kind or kind_of_place(inside(self.path, self._dataset))
        if stated:
            return Judgement(stated[0], f"file: {stated[1]}")
        if self.dtype.kind == "f":
            return Judgement("image", f"dtype: {self.dtype}")
        found, error = sampled(self, is_remote=is_url(self.path))
        names = names_of(self.path, self._dataset)
        judgement = by_voxels(found, error, names, self.dtype, luminance=self._has_colours)
        if judgement.doubt:
            log.info("%s is served as %s (%s): %s.", self.path, *judgement[:3])
        return judgement
