"""TIFF: sections stacked vertically in one page, or one page per section; lossless."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import Encoder, raw_parts
from bfly.encoders.sheet import WORK, pixel_strips
from bfly.encoders.strips import STRIP, joined
from bfly.encoders.views import check_view
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Tiff", "TiffStack"]

MOST_PAGES = 65_535
"""Pages of a file, at most: libtiff before 4.5 counts them in 16 bits."""

SAMPLE_FORMATS = {"i": 2, "f": 3}
"""Values of the tag SampleFormat by kind of dtype; unsigned integers, the default, omit it."""

LONGEST_SIDE = 2**31 - 1
"""Pixels along a side of a page, at most: many readers count them in signed integers."""

SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
"""Types of tag values."""

STRIP_OFFSETS = 273

ONE = struct.pack("<II", 1, 1)
"""Placeholder of the resolution, a fraction: readers expect one, but its unit is none."""

BITS_RGB = struct.pack("<HHHH", 8, 8, 8, 0)


class TiffStack(Encoder):
    """One uncompressed page per section.

    ``grayscale`` keeps the dtype, even of labels and of signed voxels; other views are RGB. All
    directories come before the pixels of all pages, so that a file can be streamed. From 4 GiB on
    it is a BigTIFF. The format: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
    """

    media_type = "image/tiff"
    streams = True

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Encode a cutout (z, y, x) as pages; see `Encoder.encode`."""
        shape = voxels.shape
        self.check(shape, voxels.dtype, view=view, kind=kind)
        size = _Layout(self._paged(shape), voxels.dtype, view != "grayscale").size
        return joined(self.encode_parts(iter([voxels]), shape, view=view, kind=kind), size)

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]:
        for number, part in enumerate(parts):
            if not number:
                yield _Layout(self._paged(shape), part.dtype, view != "grayscale").head()
            yield from raw_parts(
                [part] if view == "grayscale" else pixel_strips([part], view, kind, 8)
            )

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        check_view(view)
        pages, height, width = self._paged(shape)
        if pages > MOST_PAGES:
            raise BadRequest(
                f"The cutout with depth {pages} makes as many pages: {self.media_type} has at "
                f"most {MOST_PAGES}."
            )
        if max(height, width) > LONGEST_SIDE:
            raise BadRequest(
                f"The cutout of {shape} voxels (depth, height, width) makes a page of {width} x "
                f"{height} pixels: a side of {self.media_type} has at most {LONGEST_SIDE}."
            )

    @override
    def memory(
        self,
        shape: Zyx,
        dtype: np.dtype[Any],
        *,
        view: str = "grayscale",
        kind: str = "image",
        part: int | None = None,
    ) -> int:
        layout = _Layout(self._paged(shape), dtype, view != "grayscale")
        work = WORK * min(math.prod(shape), STRIP) * layout.colour + 3 * layout.start
        return work if part is not None else work + layout.size

    def _paged(self, shape: Zyx) -> Zyx:
        """Return the pages, rows and columns of a cutout."""
        return shape


class Tiff(TiffStack):
    """One page, with the sections stacked vertically, as in the other formats of pictures."""

    @override
    def _paged(self, shape: Zyx) -> Zyx:
        depth, height, width = shape
        return 1, depth * height, width


class _Layout:
    """Positions of the parts of a file.

    Parameters
    ----------
    shape : tuple of int
        Pages, rows and columns.
    dtype : numpy.dtype
        Dtype of the voxels.
    colour : bool
        Whether pixels are RGB.
    """

    def __init__(self, shape: Zyx, dtype: np.dtype[Any], colour: bool) -> None:
        self.pages, self._height, self._width = shape
        self.colour = colour
        self._dtype = np.dtype("u1") if colour else dtype
        self._page = self._height * self._width * (3 if colour else dtype.itemsize)
        # 400 bytes are more than a directory of a page: offsets of smaller files fit in 32 bits.
        self._big = self.pages * (self._page + 400) >= 2**32

    @property
    def start(self) -> int:
        """Offset of the pixels, in bytes."""
        return self._first + self.pages * self._directory.itemsize

    @property
    def size(self) -> int:
        """Size of the file, in bytes."""
        return self.start + self.pages * self._page

    def head(self) -> bytes:
        """Return the bytes before the pixels."""
        tags = self._tags()
        directories = np.zeros(self.pages, self._directory)
        directories["count"] = len(tags)
        for number, (tag, kind, count, value) in enumerate(tags):
            entry = directories["entries"][:, number]
            entry["tag"], entry["type"], entry["count"], entry["value"] = tag, kind, count, value
            if tag == STRIP_OFFSETS:
                entry["value"] = self.start + self._page * np.arange(self.pages)
        places = self._first + self._directory.itemsize * np.arange(1, self.pages + 1)
        directories["next"] = places
        directories["next"][-1] = 0
        if self._big:
            header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, self._first)
        else:
            header = struct.pack("<2sHI", b"II", 42, self._first) + BITS_RGB + ONE
        return header + directories.tobytes()

    @property
    def _first(self) -> int:
        """Offset of the first directory, after the header and the values of tags that need it."""
        return 16 if self._big else 8 + len(BITS_RGB) + len(ONE)

    @property
    def _directory(self) -> np.dtype[Any]:
        count, value = ("<u8", "<u8") if self._big else ("<u2", "<u4")
        entry = np.dtype([("tag", "<u2"), ("type", "<u2"), ("count", value), ("value", value)])
        entries = ("entries", entry, (len(self._tags()),))
        return np.dtype([("count", count), entries, ("next", value)])

    def _tags(self) -> list[tuple[int, int, int, int]]:
        """Return tag, type, count, and value or its offset; the pixels' offset is set later."""
        dtype = self._dtype
        bits, resolution = 8, 8 + len(BITS_RGB)
        if self._big:
            bits, resolution = (int.from_bytes(value, "little") for value in (BITS_RGB, ONE))
        samples, photometric = (3, 2) if self.colour else (1, 1)
        return [
            (256, LONG, 1, self._width),
            (257, LONG, 1, self._height),
            (258, SHORT, samples, bits if self.colour else 8 * dtype.itemsize),
            (259, SHORT, 1, 1),  # not compressed
            (262, SHORT, 1, photometric),
            (STRIP_OFFSETS, LONG8 if self._big else LONG, 1, 0),
            (277, SHORT, 1, samples),
            (278, LONG, 1, self._height),  # one strip
            (279, LONG8 if self._big else LONG, 1, self._page),
            (282, RATIONAL, 1, resolution),
            (283, RATIONAL, 1, resolution),
            (296, SHORT, 1, 1),  # resolution without a unit
            *((339, SHORT, 1, code) for kind, code in SAMPLE_FORMATS.items() if kind == dtype.kind),
        ]
