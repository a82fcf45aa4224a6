import os

import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.errors import NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.stack import ImageStack
from bfly.storage.files import Files
from bfly.storage.part import WHOLE, Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

RNG = np.random.default_rng(0)


class TestPng(SourceSuite):
    source = ImageStack
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"section.{z}.png").write_bytes(imagecodecs.png_encode(section))
        return folder


class TestTiff(SourceSuite):
    source = ImageStack
    dtypes = ("uint8", "uint64", "int8", "int16", "int32", "float16", "float32", "float64")

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            tifffile.imwrite(folder / f"s{z}.TIF", section, compression="zlib", rowsperstrip=8)
        return folder


class TestJpeg(SourceSuite):
    source = ImageStack
    tolerance = 8
    given_as = frozenset({StoredAs("jpeg", "")})

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"{z}.jpg").write_bytes(imagecodecs.jpeg8_encode(section, level=100))
        return folder


def write_png(folder, name, section):
    (folder / name).write_bytes(imagecodecs.png_encode(section))


@pytest.fixture
def sections(tmp_path):
    """Twelve sections; as text their names sort otherwise than as numbers."""
    volume = random_volume((12, 6, 7), "uint8")
    for z, section in enumerate(volume):
        write_png(tmp_path, f"iso.{z}.png", section)
    return tmp_path, volume


def whole(source):
    return source.read(0, source.scales[0].box)


def test_natural_order(sections):
    folder, volume = sections
    np.testing.assert_array_equal(whole(ImageStack.open(str(folder))), volume)


def test_equal_numbers_have_a_fixed_order(tmp_path):
    for value, name in enumerate(["001.png", "01.png", "1.png"], 1):
        write_png(tmp_path, name, np.full((2, 2), value, "u1"))
    assert list(whole(ImageStack.open(str(tmp_path)))[:, 0, 0]) == [1, 2, 3]


def test_other_files_are_no_sections(sections):
    folder, volume = sections
    (folder / "notes.txt").write_text("not a section")
    (folder / "._iso.0.png").write_bytes(b"what a Mac leaves behind")
    (folder / "thumbnails.png").mkdir()
    np.testing.assert_array_equal(whole(ImageStack.open(str(folder))), volume)


def test_formats_may_be_mixed(sections):
    folder, volume = sections
    (folder / "iso.3.png").unlink()
    tifffile.imwrite(folder / "iso.3.tif", volume[3])
    np.testing.assert_array_equal(whole(ImageStack.open(str(folder))), volume)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (np.ones((5, 7), "u1"), "iso.8.png is 5 x 7 voxels, the stack's sections are 6 x 7."),
        (np.ones((7, 7), "u1"), "iso.8.png is 7 x 7 voxels, the stack's sections are 6 x 7."),
        (np.ones((6, 7), "u2"), "iso.8.png holds uint16 voxels, the stack's are uint8."),
    ],
)
def test_one_section_of_another_size_or_dtype(sections, section, message):
    folder, volume = sections
    write_png(folder, "iso.8.png", section)
    source = ImageStack.open(str(folder))
    np.testing.assert_array_equal(source.read(0, BoundingBox((0, 0, 0), (8, 6, 7))), volume[:8])
    np.testing.assert_array_equal(
        source.read(0, BoundingBox((9, 1, 2), (12, 3, 4))), volume[9:, 1:3, 2:4]
    )
    for box in (BoundingBox((8, 0, 0), (9, 6, 7)), BoundingBox((7, 0, 0), (9, 1, 1))):
        with pytest.raises(SourceError) as caught:
            source.read(0, box)
        assert str(caught.value) == f"{folder}/{message}"


def test_several_pages(sections):
    folder, volume = sections
    (folder / "iso.5.png").unlink()
    tifffile.imwrite(folder / "iso.5.tif", volume[:3], photometric="minisblack")
    source = ImageStack.open(str(folder))
    with pytest.raises(SourceError, match=r"iso.5.tif has 3 pages; in a stack one file is one"):
        whole(source)
    tifffile.imwrite(folder / "iso.0.png", volume[:3], photometric="minisblack")
    with pytest.raises(SourceError, match=r"iso.0.png has 3 pages"):
        ImageStack.open(str(folder))


def test_a_section_that_is_no_image(sections):
    folder, _ = sections
    (folder / "iso.4.png").write_text("oops")
    source = ImageStack.open(str(folder))
    with pytest.raises(SourceError, match=r"iso.4.png cannot be decoded: it is neither PNG"):
        whole(source)


def test_a_section_that_went_away(sections):
    folder, _ = sections
    source = ImageStack.open(str(folder))
    (folder / "iso.4.png").unlink()
    with pytest.raises(SourceError, match=r"iso.4.png does not exist any more"):
        whole(source)
    assert source.changed() == str(folder)


def test_a_link_to_nowhere_is_a_section(sections):
    folder, volume = sections
    (folder / "iso.4.png").unlink()
    (folder / "iso.4.png").symlink_to(folder / "nowhere.png")
    source = ImageStack.open(str(folder))
    assert source.scales[0].shape == volume.shape
    with pytest.raises(SourceError, match=r"iso.4.png does not exist any more"):
        whole(source)


def test_one_link_that_leaves_allowed_paths(tmp_path):
    folder = tmp_path / "stack"
    folder.mkdir()
    volume = random_volume((3, 4, 4), "uint8")
    for z in (0, 2):
        write_png(folder, f"{z}.png", volume[z])
    write_png(tmp_path, "secret.png", volume[1])
    (folder / "1.png").symlink_to(tmp_path / "secret.png")
    source = ImageStack.open(str(folder), files=Files([str(folder)]))
    np.testing.assert_array_equal(source.read(0, BoundingBox((2, 0, 0), (3, 4, 4))), volume[2:])
    with pytest.raises(NotAllowed, match=r"1.png is not in allowed-paths"):
        whole(source)


def test_a_new_section_is_noticed(sections):
    folder, volume = sections
    source = ImageStack.open(str(folder))
    write_png(folder, "iso.12.png", volume[0])
    os.utime(folder, ns=(0, 0))
    assert source.changed() == str(folder)


def test_only_the_sections_in_the_box_are_read(sections, monkeypatch):
    folder, _ = sections
    source = ImageStack.open(str(folder))
    read = []
    monkeypatch.setattr(Files, "read_bytes", spy(read, Files.read_bytes))
    source.read(0, BoundingBox((3, 0, 0), (5, 2, 2)))
    assert [os.path.basename(path) for path in read] == ["iso.3.png", "iso.4.png"]


def spy(calls, method):
    def called(self, path):
        calls.append(path)
        return method(self, path)

    return called


def test_rgb_is_luminance_or_id(tmp_path):
    pixels = RNG.integers(0, 256, (4, 5, 3), "u1")
    write_png(tmp_path, "0.png", pixels)
    image = ImageStack.open(str(tmp_path))
    labels = ImageStack.open(str(tmp_path), kind="segmentation")
    red, green, blue = np.moveaxis(pixels.astype(int), 2, 0)
    assert (image.dtype, image.kind) == (np.uint8, "image")
    assert (labels.dtype, labels.kind) == (np.uint32, "segmentation")
    np.testing.assert_array_equal(whole(image)[0], (77 * red + 150 * green + 29 * blue + 128) >> 8)
    np.testing.assert_array_equal(whole(labels)[0], red + 256 * green + 65536 * blue)


def test_guess_leaves_mojo(sections):
    folder, _ = sections
    assert ImageStack.guess_can_open(str(folder))
    (folder / "tiledVolumeDescription.xml").write_text("<tiledVolumeDescription/>")
    assert not ImageStack.guess_can_open(str(folder))


def test_no_image(tmp_path):
    with pytest.raises(SourceError, match=r"has no image; allowed are avif, .*jpg, .*webp\.$"):
        ImageStack.open(str(tmp_path))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match="Not a directory"):
        ImageStack.open(str(tmp_path / "file"))


def test_fib25(fib25):
    source = ImageStack.open(str(fib25 / "grayscale"))
    assert source.scales[0].shape == (250, 250, 250)
    assert (source.dtype, source.kind) == (np.uint8, "image")
    for z in (0, 99, 100, 249):
        data = (fib25 / "grayscale" / f"iso.{2600 + z}.png").read_bytes()
        got = source.read(0, BoundingBox((z, 0, 0), (z + 1, 250, 250)))
        np.testing.assert_array_equal(got[0], imagecodecs.png_decode(data))


def test_a_folder_that_takes_the_place_of_another_is_not_mixed_with_it(tmp_path):
    """No section of the new one is given as one of the old."""
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        for z in range(4):
            write_png(tmp_path / name, f"{z}.png", np.full((8, 8), value, "u1"))
    source = ImageStack.open(str(tmp_path / "a"))
    assert (source.read(0, BoundingBox((0, 0, 0), (2, 8, 8))) == 1).all()
    (tmp_path / "a").rename(tmp_path / "old")
    (tmp_path / "b").rename(tmp_path / "a")
    with pytest.raises(SourceChanged, match="changed on disk"):
        source.read(0, BoundingBox((2, 0, 0), (4, 8, 8)))
    assert (ImageStack.open(str(tmp_path / "a")).read(0, source.scales[0].box) == 2).all()


@pytest.fixture
def channels(tmp_path):
    """Four sections of two channels; DAPI has values below 100."""
    for z in range(4):
        for name, value in (("DAPI", z), ("GFP", 100 + z)):
            section = np.full((5, 6), value, "u1")
            write_png(tmp_path, f"img_000000000_{name}_{z:03}.png", section)
    return str(tmp_path)


def test_a_channel_is_a_part_of_the_folder(channels):
    for name, first in (("DAPI", 0), ("GFP", 100)):
        source = ImageStack.open(channels, part=Part.parse(f"c={name}"))
        assert list(whole(source)[:, 0, 0]) == [first, first + 1, first + 2, first + 3]
        assert len(list(source.all_files())) == 4
        assert list(source.gaps()) == []
    assert [str(part) for part in ImageStack.parts(channels, Files())] == ["c=DAPI", "c=GFP"]


def test_channels_in_turn_are_never_sections(channels):
    with pytest.raises(SourceError, match=r"the images of 2 volumes: c=DAPI, c=GFP. .*#c=DAPI\.$"):
        ImageStack.open(channels)
    with pytest.raises(SourceError, match=r"has no part c=RFP; allowed are c=DAPI, c=GFP\.$"):
        ImageStack.open(channels, part=Part.parse("c=RFP"))


def test_a_stack_of_one_channel_has_no_part(sections):
    folder, _ = sections
    assert ImageStack.parts(str(folder), Files()) == [WHOLE]
    with pytest.raises(SourceError, match="has no part c=0; allowed are none: it is one stack"):
        ImageStack.open(str(folder), part=Part.parse("c=0"))


def test_the_places_of_a_part_are_in_any_order(tmp_path):
    for t, c, z in np.ndindex(2, 2, 3):
        write_png(tmp_path, f"t{t}_z{z}_c{c}.png", np.full((2, 2), 100 * t + 10 * c + z, "u1"))
    source = ImageStack.open(str(tmp_path), part=Part.parse("t=1,c=0"))
    assert list(whole(source)[:, 0, 0]) == [100, 101, 102]


def test_a_doubt_about_the_names_is_logged(tmp_path, caplog):
    for z, x in np.ndindex(2, 3):
        write_png(tmp_path, f"z{z}_x{x}.png", np.full((2, 2), z, "u1"))
    write_png(tmp_path, "z0_x0_thumb.png", np.zeros((1, 1), "u1"))
    assert list(whole(ImageStack.open(str(tmp_path)))[:, 0, 0]) == [0, 0, 0, 1, 1, 1]
    doubt, thumbnails = caplog.messages
    assert f"{tmp_path}: its names count z of 2 and x of 3; its images are served as" in doubt
    assert "thumbnails are left out, 1 in all, such as z0_x0_thumb.png" in thumbnails
