"""A request for a file of the meshes of a channel: stored ones, or those that are computed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from bfly.errors import Absent
from bfly.queries.stored_file import StoredFileQuery

if TYPE_CHECKING:
    from bfly.geometry import Zyx
    from bfly.segments.fragments import Fragment

__all__ = ["FOLDER", "MeshQuery", "Named", "name_of"]

FOLDER = "mesh"
"""Folder of the computed meshes, below the volume."""

_NAME = re.compile(r"(\d{1,20}):(\d{1,2})-(-?\d{1,18})-(-?\d{1,18})-(-?\d{1,18})-([0-9a-f]{16})")


class Named(NamedTuple):
    """A fragment by its name; its parts are those of `Fragment`, and the segment."""

    segment: int
    mip: int
    cell: Zyx
    digest: str


def name_of(segment: int, fragment: Fragment) -> str:
    """Return the name of a fragment of a segment, which changes whenever an edit changes it."""
    z, y, x = fragment.cell
    return f"{segment}:{fragment.mip}-{z}-{y}-{x}-{fragment.digest}"


class MeshQuery(StoredFileQuery):
    """A request for a file in the folder `FOLDER` of a volume.

    If meshes are stored with the volume, it is one for a stored file at the same path.
    """

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    def is_info(self) -> bool:
        """Whether it is the ``info`` of the meshes."""
        return self.file == f"{FOLDER}/info"

    @property
    def manifest_of(self) -> int | None:
        """The segment whose fragments are to be listed; None if it is no such request."""
        found = re.fullmatch(rf"{FOLDER}/(\d{{1,20}}):0", self.file)
        return int(found[1]) if found else None

    @property
    def fragment(self) -> Named:
        """The fragment that is requested.

        Raises
        ------
        Absent
            It is no name of a fragment.
        """
        found = _NAME.fullmatch(self.file.removeprefix(f"{FOLDER}/"))
        if found is None:
            raise Absent(f"There is no /{self.file} in a volume.")
        segment, mip, z, y, x = map(int, found.groups()[:5])
        return Named(segment, mip, (z, y, x), found[6])
