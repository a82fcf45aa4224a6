"""Tiles under known transforms, beside scipy's interpolation of the same images."""

import json

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import ndimage

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.tilespecs.source import TileSpecs
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import boxes, padded_slice, random_volume

RNG = np.random.default_rng(0)
AFFINE = "mpicbg.trakem2.transform.AffineModel2D"
TRANSLATION = "mpicbg.trakem2.transform.TranslationModel2D"


def render_tile(folder, name, image, z, matrix, **more):
    """Write an image, and give its entry as render has it: matrix is [[a, c, x], [b, d, y]]."""
    (folder / name).write_bytes(imagecodecs.png_encode(image))
    numbers = " ".join(map(str, np.asarray(matrix, float).T.ravel()))
    leaf = {"type": "leaf", "className": AFFINE, "dataString": numbers}
    return {
        "tileId": name,
        "z": float(z),
        "width": image.shape[1],
        "height": image.shape[0],
        "mipmapLevels": {"0": {"imageUrl": f"file:{folder}/{name}"}},
        "transforms": {"type": "list", "specList": [leaf]},
        **more,
    }


def rh_tile(folder, name, image, layer, x, y):
    """Write an image, and give its entry as rh_renderer has it."""
    (folder / name).write_bytes(imagecodecs.png_encode(image))
    height, width = image.shape
    return {
        "layer": layer,
        "width": width,
        "height": height,
        "bbox": [x, x + width, y, y + height],
        "mipmapLevels": {"0": {"imageUrl": f"file://{folder}/{name}"}},
        "transforms": [{"className": TRANSLATION, "dataString": f"{x} {y}"}],
    }


def save(folder, tiles):
    path = folder / "specs.json"
    path.write_text(json.dumps(tiles))
    return path


def whole(source, mip=0):
    return source.read(mip, source.scales[mip].box)


class TestTranslations(SourceSuite):
    """Two tiles a section, side by side, as rh_renderer writes them."""

    source = TileSpecs
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        tiles = []
        for z, section in enumerate(volume):
            half = section.shape[1] // 2
            for x, part in ((0, section[:, :half]), (half, section[:, half:])):
                if part.size:
                    tiles.append(rh_tile(folder, f"{z}_{x}.png", part, z, x, 0))
        return save(folder, tiles)


TURNED = np.array([[0.96, -0.21, 31.7], [0.17, 1.03, -12.4]])


def halved(image):
    blocks = image.reshape(image.shape[0] // 2, 2, -1, 2).astype(float)
    return np.rint(blocks.mean(axis=(1, 3)))


def expected(shape, start, tiles, mip=0):
    """Sample images with scipy, each over those before; `start` is the section's pixel there."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    size = 2**mip
    places = np.stack([(x + start[1] + 0.5) * size - 0.5, (y + start[0] + 0.5) * size - 0.5])
    result = np.zeros(shape)
    for image, matrix in tiles:
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        u, v = np.tensordot(inverse[:2, :2], places, 1) + inverse[:2, 2][:, None, None]
        height, width = image.shape
        inside = (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)
        coarse = image
        if mip:
            more = [(0, -n % size) for n in image.shape]
            blocks = np.pad(image.astype(float), more, constant_values=np.nan)
            blocks = blocks.reshape(blocks.shape[0] // size, size, -1, size)
            coarse = np.rint(np.nanmean(blocks, axis=(1, 3)))
        at = [(v + 0.5) / size - 0.5, (u + 0.5) / size - 0.5]
        sampled = ndimage.map_coordinates(coarse.astype(float), at, order=1, mode="nearest")
        result[inside] = sampled[inside]
    return result


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("mip", [0, 1, 2])
def test_a_known_affine_at_any_mip(tmp_path, dtype, mip):
    images = [random_volume((1, 90, 120), dtype, seed=seed)[0] for seed in range(2)]
    second = np.array([[1.02, 0.08, 80.25], [-0.11, 0.98, 21.5]])
    tiles = [
        render_tile(tmp_path, f"{i}.png", image, 7, matrix)
        for i, (image, matrix) in enumerate(zip(images, (TURNED, second), strict=True))
    ]
    source = TileSpecs.open(str(save(tmp_path, tiles)), kind="image")
    scale = source.scales[mip]
    assert scale.origin[0] == 7
    truth = expected(
        scale.shape[1:], scale.origin[1:], zip(images, (TURNED, second), strict=True), mip
    )
    got = whole(source, mip)[0]
    assert (got != 0).mean() > 0.5
    # Halves may be rounded either way.
    assert np.abs(got.astype(float) - truth).max() <= 0.5 + 1e-6

    @settings(max_examples=30, deadline=None)
    @given(boxes(scale.shape))
    def check(box):
        np.testing.assert_array_equal(source.read(mip, box), padded_slice(got[None], box))

    check()


def test_the_later_tile_is_seen_where_two_overlap(tmp_path):
    tiles = [
        rh_tile(tmp_path, f"{value}.png", np.full((40, 40), value, "u1"), 0, x, 0)
        for x, value in ((0, 1), (20, 2), (10, 3))
    ]
    (section,) = whole(TileSpecs.open(str(save(tmp_path, tiles))))
    np.testing.assert_array_equal(section[0], [1] * 10 + [3] * 40 + [2] * 10)


def test_transforms_follow_each_other(tmp_path):
    image = random_volume((1, 30, 40), "uint8")[0]
    tile = render_tile(tmp_path, "a.png", image, 0, [[1, 0, 0], [0, 1, 0]])
    tile["transforms"]["specList"] = [
        {"className": TRANSLATION, "dataString": "5 0"},
        {
            "type": "list",
            "specList": [{"className": AFFINE, "dataString": "0 1 -1 0 0 0"}],
        },
        {"className": "mpicbg.trakem2.transform.RigidModel2D", "dataString": f"{np.pi / 2} 0 3"},
    ]
    source = TileSpecs.open(str(save(tmp_path, [tile])))
    # Two quarter turns: x -> -x - 5, y -> -y + 3.
    assert source.scales[0].origin == (0, -29 + 3, -39 - 5)
    np.testing.assert_array_equal(whole(source)[0], image[::-1, ::-1])


def test_coarser_levels_come_from_their_files(tmp_path):
    image = random_volume((1, 128, 256), "uint8")[0]
    tile = rh_tile(tmp_path, "a.png", image, 0, 0, 0)
    coarse = random_volume((1, 32, 64), "uint8", seed=5)[0]
    (tmp_path / "a2.png").write_bytes(imagecodecs.png_encode(coarse))
    tile["mipmapLevels"]["2"] = {"imageUrl": "a2.png"}
    source = TileSpecs.open(str(save(tmp_path, [tile])))
    np.testing.assert_array_equal(whole(source, 2)[0], coarse)
    np.testing.assert_array_equal(whole(source, 1)[0], halved(image))


def test_a_tile_that_is_scaled_is_taken_from_a_coarser_level(tmp_path):
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 200
    tile = render_tile(tmp_path, "a.png", checks.astype("u1"), 0, [[0.125, 0, 0], [0, 0.125, 0]])
    (section,) = whole(TileSpecs.open(str(save(tmp_path, [tile]))))
    assert section.shape == (33, 33)
    assert set(np.unique(section[1:-1, 1:-1])) == {100}


def test_labels_are_not_mixed(tmp_path):
    image = RNG.choice(np.array([3, 900], "u2"), (50, 60))
    path = save(tmp_path, [render_tile(tmp_path, "a.png", image, 0, TURNED)])
    source = TileSpecs.open(str(path))
    assert source.kind == "segmentation"
    for mip in (0, 1):
        assert set(np.unique(whole(source, mip))) == {0, 3, 900}


def test_masks_hide(tmp_path):
    mask = np.full((40, 40), 255, "u1")
    mask[:, :15] = 0
    (tmp_path / "mask.png").write_bytes(imagecodecs.png_encode(mask))
    below = rh_tile(tmp_path, "a.png", np.full((40, 40), 1, "u1"), 0, 0, 0)
    above = rh_tile(tmp_path, "b.png", np.full((40, 40), 2, "u1"), 0, 0, 0)
    above["mipmapLevels"]["0"]["maskUrl"] = "mask.png"
    (section,) = whole(TileSpecs.open(str(save(tmp_path, [below, above]))))
    np.testing.assert_array_equal(section[3], [1] * 15 + [2] * 25)


def test_a_request_touches_only_its_tiles(tmp_path):
    tiles = [
        rh_tile(
            tmp_path, f"{i}.png", np.full((32, 32), i + 1, "u1"), 0, 32 * (i % 10), 32 * (i // 10)
        )
        for i in range(100)
    ]
    path = save(tmp_path, tiles)
    for i in range(1, 100):
        if i not in (44, 45):
            (tmp_path / f"{i}.png").unlink()
    source = TileSpecs.open(str(path))
    got = source.read(0, BoundingBox((0, 130, 130), (1, 150, 190)))
    assert set(np.unique(got)) == {45, 46}
    with pytest.raises(SourceError, match=r"43\.png does not exist"):
        source.read(0, BoundingBox((0, 130, 120), (1, 150, 190)))


def test_sections_without_tiles_are_zero(tmp_path):
    tiles = [rh_tile(tmp_path, f"{z}.png", np.full((9, 9), z, "u1"), z, 0, 0) for z in (3, 6)]
    source = TileSpecs.open(str(save(tmp_path, tiles)))
    assert source.scales[0].origin == (3, 0, 0)
    np.testing.assert_array_equal(whole(source)[:, 4, 4], [3, 0, 0, 6])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"z": 1.5}, r"tile 1 of the list: its z is 1\.5; it has to be a whole number"),
        ({"width": 0}, r"its width is 0; it has to be a whole number from 1"),
        ({"height": "40"}, r"its height is '40'"),
        ({"mipmapLevels": {}}, r"its mipmapLevels have no level 0"),
        ({"mipmapLevels": {"0": {"imageUrl": "http://host/a.png"}}}, r"its image is 'http://host/"),
        ({"transforms": "none"}, r"its transforms are 'none'"),
        (
            {"transforms": [{"className": AFFINE, "dataString": "1 0 0 1 5"}]},
            "the dataString of its",
        ),
        ({"transforms": [{"className": AFFINE, "dataString": "1 0 1 0 5 5"}]}, "leaves no area"),
        ({"transforms": [{"className": AFFINE, "dataString": "1 0 0 1 1e99 5"}]}, "farther than"),
        (
            {"transforms": [{"className": AFFINE, "dataString": "nan 0 0 1 1 5"}]},
            "the dataString of its AffineModel2D is 'nan",
        ),
        (
            {"transforms": [{"className": "mpicbg.x.PointsTransformModel", "dataString": "1"}]},
            r"its transform is PointsTransformModel; allowed are AffineModel2D",
        ),
        ({"transforms": [{"type": "ref", "refId": "a"}]}, r"its transform is ref; allowed are"),
    ],
)
def test_an_entry_that_cannot_be_rendered(tmp_path, change, reason):
    good = render_tile(tmp_path, "a.png", np.ones((9, 9), "u1"), 0, [[1, 0, 0], [0, 1, 0]])
    with pytest.raises(SourceError, match=reason):
        TileSpecs.open(str(save(tmp_path, [good, {**good, **change}])))


def test_an_image_that_is_not_as_stated(tmp_path):
    good = rh_tile(tmp_path, "a.png", np.ones((9, 9), "u1"), 0, 0, 0)
    other = rh_tile(tmp_path, "b.png", np.ones((9, 9), "u2"), 0, 20, 0)
    source = TileSpecs.open(str(save(tmp_path, [good, other])))
    with pytest.raises(
        SourceError, match=r"b\.png holds uint16 voxels, the first tile's are uint8"
    ):
        whole(source)
    source = TileSpecs.open(str(save(tmp_path, [{**good, "height": 19}])))
    with pytest.raises(SourceError, match=r"a\.png is 9 x 9 pixels.*its TileSpec needs 19 x 9"):
        whole(source)


def test_images_outside_allowed_paths(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    inside = rh_tile(folder, "a.png", np.ones((9, 9), "u1"), 0, 0, 0)
    outside = rh_tile(tmp_path, "b.png", np.ones((9, 9), "u1"), 0, 20, 0)
    source = TileSpecs.open(str(save(folder, [inside, outside])), files=Files([str(folder)]))
    assert source.read(0, BoundingBox((0, 0, 0), (1, 9, 9))).all()
    with pytest.raises(NotAllowed):
        whole(source)
