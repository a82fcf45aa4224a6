"""Axes of the images of a TIFF file, and the pages that hold one volume of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from bfly.sources.shared.axes import VolumeAxes, axes_of
from bfly.sources.shared.tiff_pages import count_grey
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    import tifffile

__all__ = ["Volume", "images_in", "lengths_of", "sections_of", "volume_of"]

SAMPLES = "S"
"""tifffile's letter of the axis of the samples of a pixel, which are served as one value."""

UNNAMED = "IQ"
"""tifffile's letters of axes of which the file states no name."""


class Volume(NamedTuple):
    """One volume among the pages of an image.

    Parameters
    ----------
    shape : tuple of int
        All axes of the image but that of samples.
    axes : VolumeAxes
        Which of them are z, y and x, and the place of the volume on the others.
    pages : sequence of int
        Numbers of its pages in the image.
    """

    shape: tuple[int, ...]
    axes: VolumeAxes
    pages: Sequence[int]


def volume_of(series: tifffile.TiffPageSeries, path: str, part: Part = WHOLE) -> Volume:
    """Find a volume among the pages of an image.

    z is the axis Z, or else the one axis without a name that is longer than 1.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The image. Its axes are those of OME-XML, of ImageJ's description, or of tifffile's own.
    path : str
        Name of the file in messages.
    part : Part
        The volume.

    Raises
    ------
    SourceError
        The volume cannot be found by the axes.
    """
    stated = [
        (letter, int(size))
        for letter, size in zip(series.get_axes(False), series.get_shape(False), strict=True)
        if letter != SAMPLES
    ]
    names = ["" if letter in UNNAMED else letter for letter, _ in stated]
    shape = tuple(size for _, size in stated)
    axes = axes_of(names, shape, path, part)
    section = axes.zyx[-2:]
    paged = [axis for axis in range(len(shape)) if axis not in section]
    z = axes.zyx[0] if len(axes.zyx) == 3 else None
    if series.keyframe.imagedepth > 1 and z is not None:
        paged.remove(z)
    strides = {
        axis: math.prod(shape[later] for later in paged[number + 1 :])
        for number, axis in enumerate(paged)
    }
    first = sum(strides[axis] * place for axis, place in axes.at.items())
    if z is None or z not in strides:
        return Volume(shape, axes, [first])
    return Volume(shape, axes, range(first, first + shape[z] * strides[z], strides[z]))


def images_in(series: tifffile.TiffPageSeries) -> int:
    """Count the planes of y and x in an image, whatever its axes are; samples are in one plane."""
    axes, shape = series.get_axes(False), series.get_shape(False)
    return math.prod(int(n) for axis, n in zip(axes, shape, strict=True) if axis not in "YXS")


def sections_of(series: tifffile.TiffPageSeries) -> int:
    """Count the sections of an image, or the grey planes of its pages, whatever its axes are."""
    planes = series.keyframe.shaped[0] if count_grey(series.keyframe) > 1 else 1
    return int(images_in(series) * planes)


def lengths_of(series: tifffile.TiffPageSeries) -> dict[str, int]:
    """Return the named axes beside z, y and x that are longer than one, as all levels have them."""
    axes = zip(series.get_axes(False), series.get_shape(False), strict=True)
    return {axis: n for axis, n in axes if n > 1 and axis not in f"ZYX{SAMPLES}{UNNAMED}"}
