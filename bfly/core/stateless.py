"""What of the documented facade needs neither the database nor the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.encoders.views import render
from bfly.geometry import zyx
from bfly.keywords import OUTPUT
from bfly.queries.data import DataQuery
from bfly.queries.tile import TileQuery

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bfly.keywords import NamedStruct
    from bfly.queries.info import InfoQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Stateless"]

FIRST = np.zeros(3, np.uint32)
"""Index of the first tile."""

FIRST.flags.writeable = False


class Stateless:
    """Base of `Core`: makes queries, and writes what was read for them."""

    @staticmethod
    def get_groups(i_query: InfoQuery) -> str:
        """Return a list of names, as JSON or YAML text."""
        return i_query.dump

    @staticmethod
    def make_data_query(i_query: InfoQuery) -> DataQuery:
        """Return a request for one voxel of a channel; only the path is copied."""
        return DataQuery(path=i_query.OUTPUT.INFO.PATH.VALUE)

    @staticmethod
    def make_tile_query(d_query: DataQuery, t_index: ArrayLike = FIRST) -> TileQuery:
        """Return the request for one tile of a request.

        Parameters
        ----------
        d_query : DataQuery
            Its source is set.
        t_index : array_like of int
            The tile's position zyx, counted in tiles from the channel's first voxel.
        """
        index = zyx(np.asarray(t_index).ravel().tolist())
        return TileQuery(d_query, index, d_query.part_of_tile(index))

    @staticmethod
    def view_volume(view: NamedStruct, vol: Voxels) -> Voxels:
        """Return voxels in a view: in grayscale as they are, else in red, green and blue.

        Parameters
        ----------
        view : NamedStruct
            ``INPUT.IMAGE.VIEW`` of a query.
        vol : numpy.ndarray
            zyx. Data types of ``OUTPUT.INFO.TYPE.ID_LIST`` are taken for labels.
        """
        if view.VALUE == view.GRAY.NAME:
            return vol
        labels = vol.dtype.name in OUTPUT.INFO.TYPE.ID_LIST
        return render(vol, view.VALUE, "segmentation" if labels else "image")

    def write_image(self, d_query: DataQuery, volume: Voxels) -> bytes | memoryview:
        """Return voxels in the format and the view of a request, as `get_data` does.

        Parameters
        ----------
        d_query : DataQuery
            Its source is set.
        volume : numpy.ndarray
            zyx, as `Core.find_tiles` returns it.
        """
        voxels = d_query.arranged(volume)
        return d_query.encoder.encode(voxels, view=d_query.view, kind=d_query.shown_kind)
