"""Contrast of a volume, from a few of its voxels."""

from __future__ import annotations

import logging
import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bfly.encoders.contrast import contrast
from bfly.errors import Busy, ButterflyError, SourceChanged
from bfly.sources.kinds.sample import CHEAP, boxes, mip_to_sample
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from bfly.sources.source import Datasource

__all__ = ["sampled_contrast"]

log = logging.getLogger(__name__)

MOST = 6
"""Boxes that are read at most."""

ENOUGH = 3
"""Boxes with other voxels than zeros, after which no more are read."""


def sampled_contrast(source: Datasource) -> tuple[float, float] | None:
    """Return the levels between which nearly all of an image is, as `contrast` does.

    Parameters
    ----------
    source : Datasource
        A few boxes of it are read; one, if each chunk is large or behind a URL.

    Returns
    -------
    tuple of float, optional
        None if all that is found is zeros, or cannot be read.

    Raises
    ------
    SourceChanged, Busy
        As `Datasource.read`.
    """
    itemsize = source.dtype.itemsize
    mip = mip_to_sample(source.scales, itemsize)
    scale = source.scales[mip]
    is_dear = is_url(source.path) or math.prod(scale.chunk) * itemsize > CHEAP
    found = []
    try:
        for box in islice(boxes(scale, 1), 1 if is_dear else MOST):
            voxels = source.read(mip, box)
            if np.any(np.nan_to_num(voxels)):
                found.append(voxels.ravel())
            if len(found) == ENOUGH:
                break
    except (SourceChanged, Busy):
        raise
    except ButterflyError as error:
        log.info("%s: its contrast is not known: %s", source.path, error)
    return contrast(np.concatenate(found)) if found else None
