"""What other channels of a dataset show of a segmentation: how much speaks against a cut."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.affinities import are_affinities, find_affinities
from bfly.errors import ButterflyError
from bfly.queries.info import InfoQuery
from bfly.splitting.contacts import face_means, inner_means
from bfly.splitting.edges import brightness_factors, contact_edges
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bfly.core.affinities import Affinities
    from bfly.cutouts.cutouts import Cutouts
    from bfly.geometry import BoundingBox
    from bfly.queries.query import Query
    from bfly.splitting.contacts import Contacts
    from bfly.splitting.edges import Edges
    from bfly.splitting.runs import SegmentRuns
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Tissue"]


class Tissue:
    """The tissue of a segmentation. Other channels are opened when they are first needed.

    Parameters
    ----------
    volume : Volume
        The segmentation.
    cutouts : Cutouts
        Reads voxels.
    beside : sequence of dict
        Words of the other channels of the dataset, with their names. The first affinities, and the
        first image, that have the voxels of the segmentation count.
    keywords : callable
        Returns the metadata of a query's source, as `Core.update_query` does.
    """

    def __init__(
        self,
        volume: Volume,
        cutouts: Cutouts,
        beside: Sequence[Mapping[str, Any]],
        keywords: Callable[[Query], dict[str, Any]],
    ) -> None:
        self._volume, self._cutouts = volume, cutouts
        self._beside, self._keywords = beside, keywords

    @cached_property
    def _image(self) -> Volume | None:
        whole = self._volume.level(0).place
        for each in self._beside:
            if are_affinities(each):
                continue
            try:
                volume: Volume = self._keywords(InfoQuery(**each))["volume"]
            except ButterflyError:
                continue
            if volume.kind == "image" and volume.level(0).place == whole:
                return volume
        return None

    @cached_property
    def _affinities(self) -> Affinities | None:
        return find_affinities(self._beside, self._volume, self._keywords)

    def image(self, box: BoundingBox) -> Voxels | None:
        """Return the image of a box; None if the dataset has none.

        Raises
        ------
        SourceError
            It cannot be read.
        """
        if self._image is None:
            return None
        return self._cutouts.gather(Region.of(self._image, 0, box))

    def edges(self, touching: Contacts, runs: SegmentRuns, box: BoundingBox) -> Edges:
        """Return the edges of supervoxels that touch, with their weights.

        Affinities weigh if there are any, and the image if there are none.

        Parameters
        ----------
        touching : Contacts
            Where they touch.
        runs : SegmentRuns
            Their voxels.
        box : BoundingBox
            A box that has all of these.

        Raises
        ------
        SourceError
            The affinities, or the image, cannot be read.
        """
        if not len(touching.pairs):
            return contact_edges(touching)
        if self._affinities is not None:
            return contact_edges(touching, self._affinities.means(touching, self._cutouts))
        if (image := self.image(box)) is None:
            return contact_edges(touching)
        image = np.ascontiguousarray(image)
        brightness = face_means(touching, image, box.start)
        inside = inner_means(touching, runs, image, box.start)
        return contact_edges(touching, brightness_factors(brightness, inside))
