"""Checks for constant voxels, and for labels with an unsuitable kind or dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.doctor.finding import Finding
from bfly.sources.kinds.stated import kind_of_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["fill", "kind", "narrow", "negative", "rounded"]

NEARLY_FULL = 0.9
"""Fraction of the maximum of a dtype above which labels are suspected to overflow."""


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
    """Check for a doubtful kind: mips of labels served as an image would average ids."""
    source = subject.source
    if source.kind_source == "config" or len(subject.values) < 2:
        return
    reason = source.kind_doubt
    if not reason and source.kind == "image" and _sounds_like_labels(subject):
        reason = "its name suggests labels"
    if reason:
        other = "segmentation" if source.kind == "image" else "image"
        yield Finding(
            "kind",
            f"It is served as {source.kind} ({source.kind_source}): {reason}.",
            f"If that is wrong, write kind: {other} at the channel in the configuration; "
            f"kind: {source.kind} confirms it.",
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


def rounded(subject: Subject) -> Iterator[Finding]:
    """Check for floats of 64 bits, which are rounded to 32: ids and large numbers may be lost."""
    if subject.source.stored_dtype.kind != "f" or subject.source.stored_dtype.itemsize <= 4:
        return
    yield Finding(
        "dtype",
        f"Voxels are {subject.source.stored_dtype.name} in the file and are served as float32: 7 "
        "digits are kept, and whole numbers up to 16,777,216.",
        "If they are labels, write them as uint64; if they are grey values, nothing is to be done.",
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
    named = kind_of_words(subject.name.rpartition("/")[2])
    return named is not None and named[0] == "segmentation"
