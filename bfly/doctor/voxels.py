"""Checks for constant voxels, and for labels with an unsuitable kind or dtype."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["fill", "kind", "narrow", "negative"]

NEARLY_FULL = 0.9
"""Fraction of the maximum of a dtype above which labels are suspected to overflow."""

OF_LABELS = re.compile(r"seg(ment|$|[^a-z])|label|supervoxel|neuron|\bids?\b", re.IGNORECASE)
"""Usual names of segmentations."""


def fill(subject: Subject) -> Iterator[Finding]:
    """Check for a channel that holds only one value."""
    if len(subject.values) == 1:
        yield Finding(
            "fill",
            f"All {len(subject.samples)} tiles looked at hold nothing but {subject.values[0]}.",
            "Check that it was written, and that this is the right dataset or folder.",
            is_error=True,
        )


def kind(subject: Subject) -> Iterator[Finding]:
    """Check for labels served as an image: their mips would average ids."""
    if subject.source.kind == "image" and _sounds_like_labels(subject):
        yield Finding(
            "kind",
            f"Its name suggests labels; its dtype, {subject.source.dtype}, makes it an image.",
            "If they are labels, write kind: segmentation at the channel in the configuration.",
        )


def narrow(subject: Subject) -> Iterator[Finding]:
    """Check for labels near the maximum of their dtype: others may be clipped or wrapped."""
    dtype, values = subject.source.dtype, subject.values
    labels = subject.source.kind == "segmentation" or _sounds_like_labels(subject)
    # 64 bits do not overflow, masks hold only 0 and the maximum, and floats hold no ids.
    if not labels or dtype.kind not in "iu" or dtype.itemsize > 4 or len(values) < 3:
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


def negative(subject: Subject) -> Iterator[Finding]:
    """Check for negative voxels that some protocols do not have, and refuse."""
    dtype, values = subject.source.dtype, subject.values
    wide, labels = dtype.itemsize == 8, subject.source.kind == "segmentation"
    if not (wide or labels) or not len(values) or values[0] >= 0:
        return
    refusing = ["precomputed"] * wide + ["compressed_segmentation"] * labels + ["BossDB"]
    yield Finding(
        "negative",
        f"Voxels go down to {values[0]:,}: {', '.join(refusing)} have no such {dtype} and refuse "
        "it; zarr and N5 have it.",
        "Write 0 for what has no label, or grey values as int16 or int32.",
    )


def _sounds_like_labels(subject: Subject) -> bool:
    return OF_LABELS.search(subject.name.rpartition("/")[2]) is not None
