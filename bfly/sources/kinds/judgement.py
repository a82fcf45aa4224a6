"""The kind of a channel by evidence: its file, its voxels, its name, its dtype, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bfly.sources.kinds.stated import kind_of_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import numpy as np

    from bfly.sources.kinds.measure import Measure

__all__ = ["Judgement", "by_dtype", "by_voxels", "kind_of"]

IMAGE, LABELS = 0.75, 0.9
"""Scores (see `Measure.score`) up to which voxels are an image, and from which they are labels.
`docs/kinds.md` has those of many volumes."""

WIDEST = 2
"""Bytes of the integers of cameras. Wider ones without runs may be ids all the same."""

FEWEST = 32
"""Distinct values below which an image would be posterized."""

LEAST = 64
"""Pairs of neighbours other than 0 without which voxels decide nothing."""


COLOURED = "its colours look like ids, which only kind: segmentation reads (R + 256 G + 65536 B)"
"""Doubt about coloured labels: ids would be confused if they were their luminance."""


class Judgement(NamedTuple):
    """A kind, and what decided it.

    Parameters
    ----------
    kind : {"image", "segmentation"}
        The kind.
    source : str
        ``config``, ``file: …``, ``voxels: …``, ``name: …``, ``dtype: …`` or ``edits: …``.
    doubt : str
        Reason that the kind may be wrong; empty if there is none.
    is_unread : bool
        Whether that is that voxels could not be read.
    """

    kind: str
    source: str
    doubt: str = ""
    is_unread: bool = False


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return the kind where nothing else is known: wide integers are labels."""
    return "segmentation" if dtype.kind in "iu" and dtype.itemsize > 1 else "image"


def by_voxels(
    found: Measure,
    error: str,
    names: Iterable[str],
    dtype: np.dtype[Any],
    *,
    luminance: bool = False,
) -> Judgement:
    """Return the kind of voxels about which the file states nothing.

    Parameters
    ----------
    found : Measure
        Measure of some of them.
    error : str
        Reason that none could be read, if so.
    names : iterable of str
        Names of the array, which decide where the voxels do not, before the dtype. The first
        that suggests a kind counts.
    dtype : numpy.dtype
        Their dtype.
    luminance : bool
        Whether they are the luminance of colours, which several colours may share.
    """
    share = f"voxels: {found.share:.0%} repeat"
    if found.values == 1 and found.has_zeros:
        return Judgement("segmentation", f"voxels: a mask of 0 and {found.low}")
    if luminance:
        return Judgement("image", "file: colours", COLOURED if found.score >= LABELS else "")
    doubt = _doubt(found, error, dtype)
    if not doubt:
        return Judgement("segmentation" if found.score >= LABELS else "image", share)
    if named := next(filter(None, map(kind_of_words, names)), None):
        agreed = named[0] == "segmentation" and found.values and dtype.itemsize > WIDEST
        doubt = "" if agreed else doubt
        return Judgement(named[0], f"name: {named[1]}", doubt, is_unread=bool(error))
    return by_dtype(dtype)._replace(doubt=doubt, is_unread=bool(error))


def by_dtype(dtype: np.dtype[Any]) -> Judgement:
    """Return the kind where only the dtype is known."""
    return Judgement(kind_of(dtype), f"dtype: {dtype}")


def _doubt(found: Measure, error: str, dtype: np.dtype[Any]) -> str:
    """Return why voxels decide nothing; empty if they decide."""
    if error:
        return f"its voxels cannot be read: {error.rstrip('.')}"
    if not found.values:
        return "the voxels looked at are all 0"
    if found.is_constant:
        return f"the voxels looked at are all {found.low}"
    if found.pairs < LEAST:
        return "too few of the voxels looked at are not 0"
    if found.score >= LABELS:
        return ""
    share = f"only {found.share:.0%} of the voxels looked at equal their neighbour"
    if found.score > IMAGE:
        return f"{share}, too few for labels and too many for grey values"
    if dtype.itemsize > WIDEST:
        return f"{share}, but {dtype} is a dtype of labels"
    if found.values < FEWEST:
        return f"{share}, but they have only {found.values} values"
    return ""
