import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.encoders.views import VIEWS, colormap, grayscale, pixel_bytes, render, rgb
from bfly.errors import BadRequest


def of(*values, dtype):
    return np.array([[values]], dtype)


def test_the_views():
    assert list(VIEWS) == ["colormap", "grayscale", "rgb"]


def test_an_unknown_view_is_a_bad_request():
    with pytest.raises(
        BadRequest, match=r"The view heat is not in \['colormap', 'grayscale', 'rgb'\]"
    ):
        render(of(1, dtype="u1"), "heat", "image")


@pytest.mark.parametrize(
    ("dtype", "bits", "value", "level"),
    [
        ("u1", 8, 0x12, 0x12),
        ("u1", 16, 0x12, 0x12),
        ("u2", 8, 0x1234, 0x12),
        ("u2", 16, 0x1234, 0x1234),
        ("u4", 8, 0x12345678, 0x12),
        ("u4", 16, 0x12345678, 0x1234),
        ("u8", 8, 0xFEDCBA9876543210, 0xFE),
        ("u8", 16, 0xFEDCBA9876543210, 0xFEDC),
        ("i1", 8, -128, 0),
        ("i1", 16, 127, 255),
        ("i2", 8, 0, 128),
        ("i2", 16, -1, 0x7FFF),
        ("i4", 8, -(2**31), 0),
        ("i4", 16, 2**31 - 1, 0xFFFF),
        ("i8", 8, -1, 127),
        ("i8", 16, 0, 0x8000),
        ("f4", 8, 1 / 255, 1),
        ("f4", 16, 0.5, 128),
        ("f4", 8, -3, 0),
        ("f4", 8, 7, 255),
        ("f4", 8, np.inf, 255),
        ("f4", 8, np.nan, 0),
    ],
)
def test_grey_levels_of_an_image(dtype, bits, value, level):
    grey = grayscale(of(value, dtype=dtype), "image", bits)
    assert grey.item() == level
    assert grey.dtype == ("u2" if bits == 16 and dtype[1] in "248" and dtype[0] in "iu" else "u1")


def test_bytes_are_shown_without_a_copy():
    voxels = of(1, 2, dtype="u1")
    assert render(voxels, "grayscale", "image") is voxels


@given(
    st.sampled_from(["i1", "<i2", ">i2", "i4", "i8"]), st.sampled_from([8, 16]), st.integers(0, 99)
)
def test_signed_levels_are_in_order_from_black_to_white(dtype, bits, seed):
    limits = np.iinfo(dtype)
    drawn = np.random.default_rng(seed).integers(limits.min, limits.max, 50, endpoint=True)
    voxels = np.sort(drawn).astype(dtype)[None, None]
    assert np.all(np.diff(grayscale(voxels, "image", bits).astype(int)) >= 0)
    ends = grayscale(of(limits.min, 0, limits.max, dtype=dtype), "image", bits)
    top = np.iinfo(ends.dtype).max
    assert ends.tolist() == [[[0, top // 2 + 1, top]]]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_labels_in_grayscale_are_coloured(dtype):
    voxels = of(0, 5, 120, dtype=dtype)
    np.testing.assert_array_equal(
        grayscale(voxels, "segmentation", 16), colormap(voxels, "segmentation")
    )


@given(st.integers(0, 2**64 - 1))
def test_only_the_id_0_is_black(label):
    colour = colormap(of(label, dtype="u8"), "segmentation")[0, 0, 0]
    assert colour.max() >= 150 if label else not colour.any()


@given(st.integers(0, 255))
def test_an_id_has_one_colour_in_every_dtype(label):
    colours = [colormap(of(label, dtype=f"u{n}"), "segmentation") for n in (1, 2, 4, 8)]
    assert len({colour.tobytes() for colour in colours}) == 1


@given(st.integers(-128, -1))
def test_a_negative_id_counts_as_its_64_bits(label):
    colours = [colormap(of(label, dtype=f"i{n}"), "segmentation") for n in (1, 2, 4, 8)]
    colours.append(colormap(of(2**64 + label, dtype="u8"), "segmentation"))
    assert len({colour.tobytes() for colour in colours}) == 1
    r, g, b = rgb(of(label, dtype="i2"), "segmentation")[0, 0, 0].tolist()
    assert r + 256 * g + 65536 * b == label % 2**24


def test_colours_stay_as_they_are_from_version_to_version():
    found = colormap(of(1, 2, 3, 2**53 + 1, 2**64 - 1, dtype="u8"), "segmentation")[0, 0]
    assert found.tolist() == [
        [17, 64, 178],
        [164, 255, 37],
        [236, 85, 217],
        [114, 51, 178],
        [95, 202, 169],
    ]


@pytest.mark.parametrize("first", [1, 2**32 - 1000, 2**53, 864691135000000000, 2**64 - 2001])
@pytest.mark.parametrize("step", [1, 2**8, 2**24, 2**32, 2**40])
def test_many_ids_many_colours(first, step):
    with np.errstate(over="ignore"):
        ids = np.uint64(first) + np.arange(2000, dtype=np.uint64) * np.uint64(step)
    colours = colormap(ids[None, None], "segmentation")[0, 0]
    assert len(np.unique(colours, axis=0)) > 1800


def test_neighbouring_ids_can_be_told_apart():
    colours = colormap(of(*range(1, 1001), dtype="u8"), "segmentation")[0, 0].astype(int)
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 60


@given(st.integers(0, 2**64 - 1))
def test_rgb_carries_the_low_24_bits_of_an_id(label):
    r, g, b = rgb(of(label, dtype="u8"), "segmentation")[0, 0, 0].tolist()
    assert r + 256 * g + 65536 * b == label % 2**24


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_rgb_of_narrow_ids(dtype):
    top = np.iinfo(dtype).max
    r, g, b = rgb(of(top, dtype=dtype), "segmentation")[0, 0, 0].tolist()
    assert r + 256 * g + 65536 * b == top % 2**24


@pytest.mark.parametrize(("dtype", "value"), [("u1", 0x12), ("u2", 0x1234), ("f4", 18 / 255)])
def test_rgb_of_an_image_is_grey(dtype, value):
    assert rgb(of(value, dtype=dtype), "image").tolist() == [[[[0x12] * 3]]]


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("kind", ["image", "segmentation"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "i1", "i2", "f4"])
@pytest.mark.parametrize("bits", [8, 16])
def test_blocks_have_the_pixels_of_their_voxels(view, kind, dtype, bits):
    """More voxels than are worked on at once, in any order in memory."""
    rng = np.random.default_rng(0)
    voxels = rng.random((2, 300, 250)) * 2**16 if dtype != "f4" else rng.random((2, 300, 250))
    voxels = voxels.astype(dtype)
    pixels = render(voxels, view, kind, bits)
    rows = np.stack([render(voxels[:, [y]], view, kind, bits)[:, 0] for y in range(300)], axis=1)
    assert np.array_equal(pixels, rows)
    turned = render(voxels.T, view, kind, bits)
    assert np.array_equal(turned.transpose(2, 1, 0, *range(3, turned.ndim)), pixels)
    assert pixels.nbytes == voxels.size * pixel_bytes(voxels.dtype, view, kind, bits)
