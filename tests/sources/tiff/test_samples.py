"""Samples of the pixels of a TIFF: grey ones, colours, palettes, and what 0 is."""

import numpy as np
import pytest
import tifffile

from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.stack import ImageStack
from bfly.sources.tiff.source import Tiff
from bfly.storage.files import Files
from bfly.storage.part import WHOLE, Part
from bfly.testing.volumes import random_volume

VOLUME = random_volume((5, 40, 36, 3), "uint16")
"""Three grey samples along the last axis."""


def whole(source):
    return source.read(0, source.scales[0].box)


def part(sample):
    return Part.parse(f"s={sample}")


def write(path, volume, *, planar, alpha=False, **options):
    """Write sections of several grey samples, the last of which may be alpha."""
    extra = [0] * (volume.shape[3] - 1 - alpha) + [2] * alpha
    config = "separate" if planar else "contig"
    with tifffile.TiffWriter(path) as file:
        for section in volume:
            file.write(
                np.moveaxis(section, 2, 0) if planar else section,
                photometric="minisblack", planarconfig=config, extrasamples=extra,
                metadata=None, contiguous=False, **options,
            )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 32)}])
@pytest.mark.parametrize("planar", [False, True])
def test_each_grey_sample_is_a_volume(tmp_path, planar, options):
    path = str(tmp_path / "v.tif")
    write(path, VOLUME, planar=planar, **options)
    assert [str(each) for each in Tiff.parts(path, Files())] == ["s=0", "s=1", "s=2"]
    for sample in range(3):
        source = Tiff.open(path, part=part(sample))
        np.testing.assert_array_equal(whole(source), VOLUME[..., sample])
    with pytest.raises(SourceError, match=r"v.tif .* 3 grey samples.*#s=0 to #s=2"):
        Tiff.open(path)
    with pytest.raises(SourceError, match="s is 3; allowed are 0 to 2"):
        Tiff.open(path, part=part(3))


@pytest.mark.parametrize("planar", [False, True])
def test_alpha_is_no_volume(tmp_path, planar):
    path = str(tmp_path / "v.tif")
    write(path, VOLUME, planar=planar, alpha=True)
    assert len(Tiff.parts(path, Files())) == 2
    np.testing.assert_array_equal(whole(Tiff.open(path, part=part(1))), VOLUME[..., 1])
    write(path, VOLUME[..., :2], planar=planar, alpha=True)
    assert [*Tiff.parts(path, Files())] == [WHOLE]
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME[..., 0])


@pytest.mark.parametrize("planar", [False, True])
def test_each_grey_sample_in_a_folder_of_images_is_a_stack(tmp_path, planar):
    for z in range(5):
        write(tmp_path / f"{z}.tif", VOLUME[z : z + 1], planar=planar, compression="zlib")
    assert [str(each) for each in ImageStack.parts(str(tmp_path), Files())] == [
        "s=0",
        "s=1",
        "s=2",
    ]
    for sample in range(3):
        source = ImageStack.open(str(tmp_path), part=part(sample))
        np.testing.assert_array_equal(whole(source), VOLUME[..., sample])
    with pytest.raises(SourceError, match=r"0.tif .* 3 grey samples.*#s=0 to #s=2"):
        ImageStack.open(str(tmp_path))


def test_channels_of_images_and_grey_samples_are_named_together(tmp_path):
    for z, c in np.ndindex(2, 2):
        write(tmp_path / f"z{z}_c{c}.tif", VOLUME[z + 2 * c, None, ..., :2], planar=False)
    parts = ImageStack.parts(str(tmp_path), Files())
    assert [str(each) for each in parts] == ["c=0,s=0", "c=0,s=1", "c=1,s=0", "c=1,s=1"]
    for number, each in enumerate(parts):
        c, s = divmod(number, 2)
        got = whole(ImageStack.open(str(tmp_path), part=each))
        np.testing.assert_array_equal(got, VOLUME[2 * c : 2 * c + 2, ..., s])


def test_a_stack_of_one_sample_has_no_others(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", VOLUME[0, ..., 0], photometric="minisblack")
    np.testing.assert_array_equal(
        whole(ImageStack.open(str(tmp_path), part=part(0))), VOLUME[:1, ..., 0]
    )
    with pytest.raises(SourceError, match="s is 1; allowed are 0 to 0"):
        ImageStack.open(str(tmp_path), part=part(1))


def test_planes_of_grey_are_channels_of_a_scan(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "planes.tif", VOLUME[:1], planar=True)
    found = scan(str(folder), Files())
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert [channel.name for channel in dataset.channels] == [
        "planes.tif-s0",
        "planes.tif-s1",
        "planes.tif-s2",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c=1", "no axis c"),
        ("s=x", "s is x; allowed are 0 to 2"),
        ("raw", "no part raw"),
        ("raw,s=0", "no part raw"),
        ("s=0,t=0", "no axis t"),
    ],
)
def test_another_part_is_refused(tmp_path, text, said):
    path = str(tmp_path / "v.tif")
    write(path, VOLUME, planar=False)
    with pytest.raises(SourceError, match=said):
        Tiff.open(path, part=Part.parse(text))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 32)}])
@pytest.mark.parametrize("planar", [False, True])
def test_grey_samples_may_be_sections(tmp_path, planar, options):
    path = str(tmp_path / "v.tif")
    write(path, VOLUME[:1], planar=planar, **options)
    source = Tiff.open(path, part=Part.parse("z=s"))
    np.testing.assert_array_equal(whole(source), np.moveaxis(VOLUME[0], 2, 0))
    box = BoundingBox((1, 5, 9), (3, 30, 33))
    np.testing.assert_array_equal(source.read(0, box), whole(source)[box.slices])
    write(path, VOLUME, planar=planar, **options)
    with pytest.raises(SourceError, match="has 5 sections of 3 grey samples; for z=s, allowed"):
        Tiff.open(path, part=Part.parse("z=s"))


def test_channels_and_grey_samples_are_named_together(tmp_path):
    path = str(tmp_path / "v.tif")
    volume = random_volume((2, 3, 20, 24 * 2), "uint8").reshape(2, 3, 20, 24, 2)
    tifffile.imwrite(
        path, volume, photometric="minisblack", planarconfig="contig", metadata={"axes": "CZYXS"}
    )
    parts = Tiff.parts(path, Files())
    assert [str(each) for each in parts] == ["s=0", "s=1", "c=1,s=0", "c=1,s=1"]
    for number, each in enumerate(parts):
        c, s = divmod(number, 2)
        np.testing.assert_array_equal(whole(Tiff.open(path, part=each)), volume[c, ..., s])


def test_samples_beside_colours_are_told(tmp_path, caplog):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 5), "u1")
    path = str(tmp_path / "v.tif")
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None)
    red, green, blue = np.moveaxis(pixels[..., :3].astype(int), 3, 0)
    luminance = (77 * red + 150 * green + 29 * blue + 128) >> 8
    np.testing.assert_array_equal(whole(Tiff.open(path)), luminance)
    assert caplog.messages == [f"{path} has 2 samples beside its colours, which are left out."]
    caplog.clear()
    tifffile.imwrite(path, pixels[..., :4], photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(whole(Tiff.open(path)), luminance)
    assert caplog.messages == []


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_that_0_is_white_is_told_and_the_voxels_are_as_stored(tmp_path, caplog, dtype):
    volume = VOLUME[..., 0].astype(dtype)
    (tmp_path / "stack").mkdir()
    path = str(tmp_path / "v.tif")
    tifffile.imwrite(path, volume, photometric="miniswhite")
    for z, section in enumerate(volume):
        tifffile.imwrite(tmp_path / "stack" / f"{z}.tif", section, photometric="miniswhite")
    np.testing.assert_array_equal(whole(Tiff.open(path)), volume)
    np.testing.assert_array_equal(whole(ImageStack.open(str(tmp_path / "stack"))), volume)
    said = "is MinIsWhite: 0 is white. Voxels are served as stored, so pictures are negatives."
    assert caplog.messages == [f"{path} {said}", f"{tmp_path}/stack/0.tif {said}"]


@pytest.mark.parametrize("white", [0, 1])
def test_a_section_in_which_0_is_another_colour_is_refused(tmp_path, white):
    names = ["minisblack", "miniswhite"]
    for z, section in enumerate(VOLUME[..., 0]):
        how = names[white if z != 3 else 1 - white]
        tifffile.imwrite(tmp_path / f"{z}.tif", section, photometric=how)
    source = ImageStack.open(str(tmp_path))
    said = f"0 is {'black' if white else 'white'} in .*/3.tif, and {'white' if white else 'black'}"
    with pytest.raises(SourceError, match=said):
        whole(source)
    box = BoundingBox((0, 0, 0), (3, 40, 36))
    np.testing.assert_array_equal(source.read(0, box), VOLUME[:3, ..., 0])


def luminance(colours):
    return (colours.astype(int) @ [77, 150, 29] + 128) >> 8


@pytest.mark.parametrize("byte", [False, True])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palettes_of_few_bits_and_of_8_bit_colours(tmp_path, bits, byte):
    """Some programs write colours of 8 bits into the table of 16 bits."""
    rng = np.random.default_rng(bits)
    colours = rng.integers(0, 256, (2**bits, 3), "u2")
    colours[0] = 200
    indices = rng.integers(0, 2**bits, (3, 20, 32), "u1")
    (tmp_path / "stack").mkdir()
    path = tmp_path / "v.tif"
    paths = [tmp_path / "stack" / f"{z}.tif" for z in range(3)]
    for name, sections in ((path, indices), *zip(paths, indices[:, None], strict=True)):
        write_palette(name, sections, bits, colours if byte else colours * 257)
    expected = luminance(colours)[indices]
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), expected)
    np.testing.assert_array_equal(whole(ImageStack.open(str(tmp_path / "stack"))), expected)


def write_palette(path, sections, bits, colours):
    """Write indices of `bits` bits, packed as TIFF 6.0 states; tifffile writes those of 8."""
    with tifffile.TiffWriter(path) as file:
        for section in sections:
            file.write(
                section, photometric="palette", metadata=None, contiguous=False,
                colormap=np.zeros((3, 256), "u2"),
            )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as file:
        for page, section in zip(file.pages, sections, strict=True):
            spread = np.unpackbits(section[..., None], axis=-1)[..., 8 - bits :]
            packed = np.packbits(spread.reshape(section.shape[0], -1), axis=-1).tobytes()
            file.filehandle.seek(page.dataoffsets[0])
            file.filehandle.write(packed)
            page.tags[279].overwrite([len(packed)])
            page.tags[258].overwrite(bits)
            page.tags[320].overwrite(colours.T.reshape(-1))
