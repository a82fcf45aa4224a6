"""Voxels that are all the same, and labels that do not fit their dtype."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["fill", "kind", "narrow"]

NEARLY_FULL = 0.9
"""Labels beyond this part of what a dtype holds have come to its end."""

OF_LABELS = re.compile(r"seg(ment|$|[^a-z])|label|supervoxel|neuron|\bids?\b", re.IGNORECASE)
"""Names that people give to segmentations."""


def fill(subject: Subject) -> Iterator[Finding]:
    """Look for a channel that holds one value only."""
    if len(subject.values) == 1:
        yield Finding(
            "fill",
            f"All {len(subject.samples)} tiles looked at hold nothing but {subject.values[0]}.",
            "See whether it was ever written, and whether this is the right dataset or folder.",
            is_error=True,
        )


def kind(subject: Subject) -> Iterator[Finding]:
    """Look for labels that are served as an image, whose mips would be the mean of ids."""
    if subject.source.kind == "image" and _sounds_like_labels(subject):
        yield Finding(
            "kind",
            f"By its name it holds labels, by its dtype, {subject.source.dtype}, it is an image.",
            "If they are labels, write kind: segmentation at the channel in the configuration.",
        )


def narrow(subject: Subject) -> Iterator[Finding]:
    """Look for labels that fill their dtype, so that others may have been cut off or wrapped."""
    dtype, values = subject.source.dtype, subject.values
    labels = subject.source.kind == "segmentation" or _sounds_like_labels(subject)
    # 64 bits are never full, masks are 0 and the highest value, and floats have no ids.
    if not labels or dtype.kind != "u" or dtype.itemsize > 4 or len(values) < 3:
        return
    highest, most = int(values[-1]), int(np.iinfo(dtype).max)
    if highest > NEARLY_FULL * most:
        yield Finding(
            "dtype",
            f"Labels go up to {highest:,} and {dtype} holds no more than {most:,}: others may "
            "have been cut off, or begun again at 0.",
            "Write them as uint64; if they are grey values, write kind: image in the "
            "configuration.",
        )


def _sounds_like_labels(subject: Subject) -> bool:
    return OF_LABELS.search(subject.name.rpartition("/")[2]) is not None
