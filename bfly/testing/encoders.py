"""Conformance suite of encoders; it needs pytest and hypothesis.

The tests of a format subclass `EncoderSuite`, or `SheetSuite` for a 2-D format. They set the
encoder class, and read its files with another program::

    class TestPng(SheetSuite):
        encoder = Png
        media_type = "image/png"

        def decode(self, data, shape, dtype):
            return imagecodecs.png_decode(data)
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.encoders.strips import STRIP
from bfly.encoders.views import VIEWS, render
from bfly.errors import BadRequest
from bfly.testing.memory import SLACK, Case, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.encoders.encoder import Encoder
    from bfly.geometry import Zyx

__all__ = ["DTYPES", "EncoderSuite", "SheetSuite", "cutouts"]

DTYPES = ("u1", "u2", "u4", "u8", "f4")

LAYOUTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "fortran": np.asfortranarray,
    "part": lambda a: np.pad(a, 1)[1:-1, 1:-1, 1:-1],
    "reversed": lambda a: a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    "strided": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
}

Spec = tuple[tuple[int, int, int], str, int]

cutouts: st.SearchStrategy[Spec] = st.tuples(
    st.one_of(
        st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
        # One voxel, and shapes that a library could mistake for colours.
        st.sampled_from([(1, 1, 1), (3, 1, 1), (1, 3, 1), (3, 5, 7), (5, 4, 3), (4, 4, 4)]),
    ),
    st.sampled_from(DTYPES),
    st.integers(0, 2**32 - 1),
)
"""Shape (z, y, x), dtype and seed for `EncoderSuite.cutout`."""

LARGE = ((1, 1100, 1000), (1, 1, STRIP + 9), (STRIP + 9, 1, 1), (3, 700, 601))
"""Shapes with more voxels than an encoder processes at once."""

HEAVY = (1, 2048, 2048)
"""Shape of the cutouts whose memory is measured: large compared with an idle process."""

MEASURED = (
    ("u1", "colormap"),
    ("u1", "grayscale"),
    ("u8", "colormap"),
    ("u8", "rgb"),
    ("f4", "rgb"),
)

views = st.sampled_from(list(VIEWS))
kinds = st.sampled_from(["image", "segmentation"])

several = settings(
    deadline=None,
    max_examples=60,
    # Every subclass runs the same test functions on purpose.
    suppress_health_check=[HealthCheck.differing_executors],
)


class EncoderSuite:
    """Tests that every encoder has to pass."""

    encoder: ClassVar[type[Encoder]]
    """The class under test."""

    media_type: ClassVar[str]
    """Expected ``Content-Type``."""

    tolerance: ClassVar[int] = 0
    """Levels by which a lossy format may differ in a cutout of one constant value."""

    def decode(self, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Decode a file with another library than the encoder's; must be overridden.

        Parameters
        ----------
        data : bytes
            The file.
        shape, dtype : tuple of int, numpy.dtype
            Those of `expected`, for formats that do not record them.
        """
        raise NotImplementedError

    def expected(self, voxels: NDArray[Any], view: str, kind: str) -> NDArray[Any]:
        """Return what `decode` has to return: the voxels, unless the format stores pixels."""
        return voxels

    def cutout(self, spec: Spec) -> NDArray[Any]:
        """Return voxels over the dtype's whole range; all equal if the format is lossy."""
        shape, dtype, seed = spec
        rng = np.random.default_rng(seed)
        drawn = (1, 1, 1) if self.tolerance else shape
        if dtype == "f4":
            voxels = rng.uniform(-0.5, 1.5, drawn).astype(dtype)
        else:
            top = np.iinfo(dtype).max
            voxels = rng.choice(
                [rng.integers(0, top, drawn, dtype, endpoint=True), np.zeros(drawn, dtype)]
            )
        return np.broadcast_to(voxels, shape).copy()

    def test_media_type(self) -> None:
        """The encoder has the expected media type."""
        assert self.encoder.media_type == self.media_type

    @several
    @given(spec=cutouts, view=views, kind=kinds)
    def test_a_file_decodes_to_the_cutout(self, spec: Spec, view: str, kind: str) -> None:
        """Another program decodes every voxel or pixel in its place."""
        voxels = self.cutout(spec)
        data = bytes(self.encoder().encode(voxels, view=view, kind=kind))
        self.assert_decodes(data, voxels, view, kind)

    def assert_decodes(
        self, data: bytes, voxels: NDArray[Any], view: str = "grayscale", kind: str = "image"
    ) -> None:
        """Check that another program decodes a file of these voxels to what is expected."""
        expected = self.expected(voxels, view, kind)
        decoded = self.decode(data, expected.shape, expected.dtype)
        assert decoded.shape == expected.shape
        assert decoded.dtype == expected.dtype
        if self.tolerance:
            np.testing.assert_allclose(decoded.astype(int), expected, rtol=0, atol=self.tolerance)
        else:
            np.testing.assert_array_equal(decoded, expected)

    @pytest.mark.parametrize("shape", LARGE, ids=str)
    @pytest.mark.parametrize(("dtype", "view"), MEASURED)
    def test_a_large_file_decodes_to_the_cutout(self, shape: Zyx, dtype: str, view: str) -> None:
        """Cutouts that are encoded strip by strip are correct."""
        voxels = self.cutout((shape, dtype, 1))
        self.skip_unless_held(voxels.shape, voxels.dtype)
        data = bytes(self.encoder().encode(voxels, view=view))
        self.assert_decodes(data, voxels, view)

    def skip_unless_held(self, shape: Zyx, dtype: np.dtype[Any]) -> None:
        """Skip the test if the format cannot store such a cutout."""
        try:
            self.encoder().check(shape, dtype)
        except BadRequest as error:
            pytest.skip(str(error))

    @pytest.mark.parametrize("layout", LAYOUTS)
    @several
    @given(spec=cutouts, view=views, kind=kinds)
    def test_memory_layout_does_not_matter(
        self, layout: str, spec: Spec, view: str, kind: str
    ) -> None:
        """Voxels of any strides and byte order, also read-only ones, result in the same file."""
        voxels = self.cutout(spec)
        same = LAYOUTS[layout](voxels)
        same.flags.writeable = False
        encode = self.encoder().encode
        assert bytes(encode(same, view=view, kind=kind)) == bytes(
            encode(voxels, view=view, kind=kind)
        )

    @several
    @given(spec=cutouts, view=views, kind=kinds)
    def test_same_bytes_again_and_voxels_left_alone(self, spec: Spec, view: str, kind: str) -> None:
        """A file depends only on the arguments, so that its hash can be its name."""
        voxels = self.cutout(spec)
        before = voxels.copy()
        first = bytes(self.encoder().encode(voxels, view=view, kind=kind))
        assert bytes(self.encoder().encode(voxels, view=view, kind=kind)) == first
        np.testing.assert_array_equal(voxels, before)

    @several
    @given(
        spec=cutouts, sections=st.integers(1, 4), rows=st.integers(1, 20), view=views, kind=kinds
    )
    def test_parts_decode_to_the_cutout_too(
        self, spec: Spec, sections: int, rows: int, view: str, kind: str
    ) -> None:
        """A streaming format writes the same voxels from parts that reuse one buffer."""
        self.skip_unless_it_streams()
        voxels = self.cutout(spec)
        data = self.from_parts(voxels, sections, rows, view, kind)
        self.assert_decodes(data, voxels, view, kind)
        if self.encoder.verbatim:
            assert data == bytes(self.encoder().encode(voxels))

    @pytest.mark.parametrize("rows", [1, 40, 1001])
    def test_large_parts_decode_to_the_cutout_too(self, rows: int) -> None:
        """Parts and strips may start at different rows."""
        self.skip_unless_it_streams()
        voxels = self.cutout(((2, 1001, 1100), "u2", 1))
        self.assert_decodes(self.from_parts(voxels, 1, rows), voxels)

    def from_parts(
        self,
        voxels: NDArray[Any],
        sections: int,
        rows: int,
        view: str = "grayscale",
        kind: str = "image",
    ) -> bytes:
        """Encode from parts of `sections` sections; of `rows` rows if sections have more."""
        depth, height, _ = voxels.shape
        step = sections if rows >= height else 1
        places = [
            (slice(z, z + step), slice(y, y + rows))
            for z in range(0, depth, step)
            for y in range(0, height, rows)
        ]
        memory = np.empty_like(voxels[:step, :rows])

        def parts() -> Iterator[NDArray[Any]]:
            for place in reversed(places) if self.encoder.upwards else places:
                part = voxels[place]
                lent = memory.reshape(-1)[: part.size].reshape(part.shape)
                lent[...] = part
                yield lent

        pieces = self.encoder().encode_parts(parts(), voxels.shape, view=view, kind=kind)
        return b"".join(bytes(piece) for piece in pieces)

    def skip_unless_it_streams(self) -> None:
        """Skip the test if the format cannot be written in parts."""
        if not self.encoder.streams:
            pytest.skip(f"{self.encoder.__name__} is not written in parts.")

    def test_what_does_not_fit_is_said_before_there_are_voxels(self) -> None:
        """`check` accepts a cutout that `encode` writes."""
        voxels = self.cutout(((2, 3, 4), "u1", 1))
        self.encoder().check(voxels.shape, voxels.dtype)
        assert self.encoder().encode(voxels)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports peak memory")
    @pytest.mark.parametrize("part", [None, 4 << 20], ids=["whole", "parts"])
    def test_no_more_memory_than_stated(self, part: int | None) -> None:
        """Encoding takes at most what `memory` states, by which a server admits requests."""
        if part is not None:
            self.skip_unless_it_streams()
        encoder = self.encoder()
        cases = [Case(HEAVY, dtype, view, "image", part) for dtype, view in MEASURED]
        for case, peak in zip(cases, measured(self.encoder, cases), strict=True):
            dtype = np.dtype(case.dtype)
            stated = encoder.memory(case.shape, dtype, view=case.view, part=part)
            assert peak <= stated + SLACK, case


class SheetSuite(EncoderSuite):
    """Tests that every encoder of a 2-D format has to pass."""

    grey_bits: ClassVar[int] = 8
    """Bits of a grey level that the format stores at most."""

    def expected(self, voxels: NDArray[Any], view: str, kind: str) -> NDArray[Any]:
        """Return the pixels of the view, sections stacked along y."""
        pixels = render(voxels, view, kind, self.grey_bits)
        return np.concatenate(list(pixels))

    def test_unknown_view_is_a_bad_request(self) -> None:
        """An unknown view is refused with a message that lists the views."""
        with pytest.raises(BadRequest, match="The view heat is not in"):
            self.encoder().encode(np.zeros((1, 2, 2), np.uint8), view="heat")
