"""The contract of an encoder as a test suite; it needs pytest and hypothesis.

The tests of a format derive from `EncoderSuite`, or from `SheetSuite` for a 2-D format. They name
the class and define how another program reads its files::

    class TestPng(SheetSuite):
        encoder = Png
        media_type = "image/png"

        def decode(self, data, shape, dtype):
            return imagecodecs.png_decode(data)

Tests of parts are collected only for an encoder that `streams`, and tests of large cutouts only
for the shapes that its `check` accepts.
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
from bfly.testing.collection import collect_if
from bfly.testing.memory import SLACK, Case, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.encoders.encoder import Encoder
    from bfly.geometry import Zyx

__all__ = ["DTYPES", "EncoderSuite", "SheetSuite", "cutouts"]

DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4")

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
        # One voxel, and shapes that a library could take for colours.
        st.sampled_from([(1, 1, 1), (3, 1, 1), (1, 3, 1), (3, 5, 7), (5, 4, 3), (4, 4, 4)]),
    ),
    st.sampled_from(DTYPES),
    st.integers(0, 2**32 - 1),
)
"""Shape (z, y, x), dtype and seed for `EncoderSuite.cutout`."""

LARGE = ((1, 1100, 1000), (1, 1, STRIP + 9), (STRIP + 9, 1, 1), (3, 700, 601))
"""Shapes of more voxels than an encoder works on at once."""

HEAVY = (1, 2048, 2048)
"""Shape of cutouts for measuring memory: large beside what an idle process has allocated."""

MEASURED = (
    ("u1", "colormap"),
    ("u1", "grayscale"),
    ("u8", "colormap"),
    ("u8", "rgb"),
    ("i1", "grayscale"),
    ("f4", "rgb"),
)

views = st.sampled_from(list(VIEWS))
kinds = st.sampled_from(["image", "segmentation"])

several = settings(
    deadline=None,
    max_examples=60,
    # Every subclass runs the same test functions, which is what a suite is for.
    suppress_health_check=[HealthCheck.differing_executors],
)


class EncoderSuite:
    """Tests that every encoder passes."""

    encoder: ClassVar[type[Encoder]]
    """The class under test."""

    media_type: ClassVar[str]
    """The expected ``Content-Type``."""

    tolerance: ClassVar[int] = 0
    """Largest error of a lossy format, in levels, for a cutout of one value."""

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        encoder = getattr(cls, "encoder", None)
        collect_if(
            encoder is None or encoder.streams,
            cls,
            "test_parts_decode_to_the_cutout_too",
            "test_large_parts_decode_to_the_cutout_too",
        )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize tests with the cutouts that the format holds, whole and in parts."""
        if metafunc.function.__name__ == "test_a_large_file_decodes_to_the_cutout":
            cases = [
                pytest.param(shape, dtype, view, id=f"{dtype}-{view}-{shape}")
                for dtype, view in MEASURED
                for shape in LARGE
                if self.holds(shape, dtype)
            ]
            metafunc.parametrize(("shape", "dtype", "view"), cases)
        elif metafunc.function.__name__ == "test_no_more_memory_than_stated":
            parts = {"whole": None, "parts": 4 << 20}
            if not self.encoder.streams:
                del parts["parts"]
            metafunc.parametrize("part", parts.values(), ids=parts)

    def holds(self, shape: Zyx, dtype: str) -> bool:
        """Return whether a file of the format can hold a cutout."""
        try:
            self.encoder().check(shape, np.dtype(dtype))
        except BadRequest:
            return False
        return True

    def decode(self, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Read a file by other means than the encoder's; must be overridden.

        Parameters
        ----------
        data : bytes
            The file.
        shape, dtype : tuple of int, numpy.dtype
            What `expected` has, for formats that do not record it.
        """
        raise NotImplementedError

    def expected(self, voxels: NDArray[Any], view: str, kind: str) -> NDArray[Any]:
        """Return what `decode` has to find: the voxels, for a format that stores voxels."""
        return voxels

    def cutout(self, spec: Spec) -> NDArray[Any]:
        """Create voxels over the whole range of a dtype; all equal if the format is lossy."""
        shape, dtype, seed = spec
        rng = np.random.default_rng(seed)
        drawn = (1, 1, 1) if self.tolerance else shape
        if dtype == "f4":
            voxels = rng.uniform(-0.5, 1.5, drawn).astype(dtype)
        else:
            low, top = np.iinfo(dtype).min, np.iinfo(dtype).max
            voxels = rng.choice(
                [rng.integers(low, top, drawn, dtype, endpoint=True), np.zeros(drawn, dtype)]
            )
        return np.broadcast_to(voxels, shape).copy()

    def test_media_type(self) -> None:
        """The format is announced as what it is."""
        assert self.encoder.media_type == self.media_type

    @several
    @given(spec=cutouts, view=views, kind=kinds)
    def test_a_file_decodes_to_the_cutout(self, spec: Spec, view: str, kind: str) -> None:
        """Another program reads every voxel or pixel in its place."""
        voxels = self.cutout(spec)
        data = bytes(self.encoder().encode(voxels, view=view, kind=kind))
        self.assert_decodes(data, voxels, view, kind)

    def assert_decodes(
        self, data: bytes, voxels: NDArray[Any], view: str = "grayscale", kind: str = "image"
    ) -> None:
        """Check that another program finds what a file of these voxels has to hold."""
        expected = self.expected(voxels, view, kind)
        found = self.decode(data, expected.shape, expected.dtype)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        if self.tolerance:
            np.testing.assert_allclose(found.astype(int), expected, rtol=0, atol=self.tolerance)
        else:
            np.testing.assert_array_equal(found, expected)

    def test_a_large_file_decodes_to_the_cutout(self, shape: Zyx, dtype: str, view: str) -> None:
        """Encoding strip by strip changes no voxel."""
        voxels = self.cutout((shape, dtype, 1))
        data = bytes(self.encoder().encode(voxels, view=view))
        self.assert_decodes(data, voxels, view)

    @pytest.mark.parametrize("layout", LAYOUTS)
    @several
    @given(spec=cutouts, view=views, kind=kinds)
    def test_memory_layout_does_not_matter(
        self, layout: str, spec: Spec, view: str, kind: str
    ) -> None:
        """Voxels of any strides and byte order, read-only ones too, give the same file."""
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
        """A file depends on nothing but the arguments, so that its hash can name it."""
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
        """A format that streams writes the same voxels from parts that share their memory."""
        voxels = self.cutout(spec)
        data = self.from_parts(voxels, sections, rows, view, kind)
        self.assert_decodes(data, voxels, view, kind)
        if self.encoder.verbatim:
            assert data == bytes(self.encoder().encode(voxels))

    @pytest.mark.parametrize("rows", [1, 40, 1001])
    def test_large_parts_decode_to_the_cutout_too(self, rows: int) -> None:
        """Parts and strips need not begin at the same rows."""
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
        """Write a file from parts: some sections each, or some rows of one section."""
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

    def test_what_does_not_fit_is_said_before_there_are_voxels(self) -> None:
        """A cutout that `encode` writes passes `check`."""
        voxels = self.cutout(((2, 3, 4), "u1", 1))
        self.encoder().check(voxels.shape, voxels.dtype)
        assert self.encoder().encode(voxels)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports peak memory")
    def test_no_more_memory_than_stated(self, part: int | None) -> None:
        """Peak memory stays within `memory`, by which a server admits requests."""
        encoder = self.encoder()
        cases = [Case(HEAVY, dtype, view, "image", part) for dtype, view in MEASURED]
        for case, peak in zip(cases, measured(self.encoder, cases), strict=True):
            dtype = np.dtype(case.dtype)
            stated = encoder.memory(case.shape, dtype, view=case.view, part=part)
            assert peak <= stated + SLACK, case


class SheetSuite(EncoderSuite):
    """Tests that an encoder of a 2-D format passes as well."""

    grey_bits: ClassVar[int] = 8
    """Bits that the format stores of a grey level."""

    def expected(self, voxels: NDArray[Any], view: str, kind: str) -> NDArray[Any]:
        """Return the pixels of the view, sections stacked downwards."""
        pixels = render(voxels, view, kind, self.grey_bits)
        return np.concatenate(list(pixels))

    def test_unknown_view_is_a_bad_request(self) -> None:
        """The views are a closed list, and the message gives it."""
        with pytest.raises(BadRequest, match="The view heat is not in"):
            self.encoder().encode(np.zeros((1, 2, 2), np.uint8), view="heat")
