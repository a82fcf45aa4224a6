"""A request for a file of the meshes of several resolutions of a channel."""

from __future__ import annotations

import re

from typing_extensions import override

from bfly.errors import Absent
from bfly.queries.stored_file import StoredFileQuery

__all__ = ["MULTIRES", "MultiresQuery"]

MULTIRES = "multires"
"""Folder of the meshes of several resolutions, below the volume."""

_NAME = re.compile(rf"{MULTIRES}/(\d{{1,20}})(\.index)?")

MOST = 2**64 - 1


class MultiresQuery(StoredFileQuery):
    """A request for a file in the folder `MULTIRES` of a volume."""

    @property
    @override
    def follows_edits(self) -> bool:
        return True

    @property
    def is_info(self) -> bool:
        """Whether it is the ``info`` of the meshes."""
        return self.file == f"{MULTIRES}/info"

    @property
    def segment(self) -> int:
        """The segment whose index or fragments are requested.

        Raises
        ------
        Absent
            It is no name of such a file.
        """
        found = _NAME.fullmatch(self.file)
        if found is None or int(found[1]) > MOST:
            raise Absent(f"There is no /{self.file} in a volume.")
        return int(found[1])

    @property
    def is_index(self) -> bool:
        """Whether it is the index of a segment, not its fragments."""
        return self.file.endswith(".index")
