from pathlib import Path

import numpy as np
import pytest
import tifffile

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.contiguous import Flat
from bfly.sources.tiff.source import Tiff
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

GREY = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}


def imwrite(path, volume, **how):
    if volume.shape[2] > 1:
        tifffile.imwrite(path, volume, **how)
        return
    # Of a volume, tifffile takes a last axis of one voxel for samples; of a section it does not.
    how = {"tile": None, **how, "imagej": False, "volumetric": False, "metadata": None}
    how = {**how, "tile": how["tile"] and how["tile"][-2:]}
    options = {name: how.pop(name) for name in ("imagej", "bigtiff", "byteorder") if name in how}
    with tifffile.TiffWriter(path, **options) as file:
        for section in volume:
            file.write(section, contiguous=False, **{"photometric": "minisblack", **how})


class TestContiguous(SourceSuite):
    source = Tiff
    dtypes = (
        "uint8",
        "uint16",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
    )

    def write(self, folder, volume):
        path = folder / "volume.tif"
        imwrite(path, volume, **GREY)
        return path


class TestBigEndianBigTiff(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "int16", "float16", "float32", "float64")

    def write(self, folder, volume):
        path = folder / "volume.tif"
        imwrite(path, volume, byteorder=">", bigtiff=True, **GREY)
        return path


class TestPagesApart(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        path = folder / "volume.tif"
        with tifffile.TiffWriter(path) as file:
            for section in volume:
                file.write(section, photometric="minisblack", contiguous=False, metadata=None)
        return path


class TestStrips(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "int16", "uint64", "float16", "float32", "float64")

    def write(self, folder, volume):
        path = folder / "volume.tif"
        predictor = volume.dtype != "uint64"
        how = {"compression": "zlib", "predictor": predictor, "rowsperstrip": 7, "byteorder": ">"}
        imwrite(path, volume, **how, **GREY)
        return path


class TestTiles(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "int32", "float16", "float32", "float64")
    shape = (5, 70, 53)

    def write(self, folder, volume):
        path = folder / "volume.tif"
        imwrite(path, volume, compression="lzw", tile=(16, 32), **GREY)
        return path


class TestVolumetricTiles(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "uint16")
    shape = (21, 40, 33)

    def write(self, folder, volume):
        path = folder / "volume.tif"
        how = {"compression": "zstd", "tile": (16, 16, 16), "volumetric": True}
        # tifffile cannot write a volume of one section or row so.
        imwrite(path, volume, **(how if min(volume.shape) > 1 else {}), **GREY)
        return path


class TestOme(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        path = folder / "volume.ome.tif"
        tifffile.imwrite(
            path,
            volume[None, :, None],
            ome=True,
            photometric="minisblack",
            metadata={"axes": "TZCYX"},
            compression="zlib",
        )
        return path


class TestImageJ(SourceSuite):
    source = Tiff
    dtypes = ("uint8", "uint16", "float32")

    def write(self, folder, volume):
        path = folder / "volume.tif"
        imwrite(path, volume, imagej=True, metadata={"axes": "ZYX"})
        return path


def whole(source):
    return source.read(0, source.scales[0].box)


VOLUME = random_volume((6, 40, 52), "uint8")
MICRO = {"PhysicalSizeX": 0.004, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 5}
MICRO |= {"PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 300, "PhysicalSizeZUnit": "Å"}


def test_ome_states_the_voxel_size(tmp_path):
    path = tmp_path / "v.ome.tif"
    tifffile.imwrite(path, VOLUME, ome=True, metadata={"axes": "ZYX", **MICRO})
    assert Tiff.open(str(path)).voxel_size == pytest.approx((30, 5, 4))
    del MICRO["PhysicalSizeZ"]
    tifffile.imwrite(path, VOLUME, ome=True, metadata={"axes": "ZYX", **MICRO})
    assert Tiff.open(str(path)).voxel_size is None


@pytest.mark.parametrize(
    ("unit", "spacing", "voxel_size"),
    [
        ("micron", 0.03, (30, 5, 4)),
        ("um", 0.03, (30, 5, 4)),
        ("\\u00B5m", None, (1000, 5, 4)),
        ("pixel", 0.03, None),
        (None, 0.03, None),
    ],
)
def test_imagej_states_the_voxel_size(tmp_path, unit, spacing, voxel_size):
    path = tmp_path / "v.tif"
    metadata = {"axes": "ZYX", "unit": unit, "spacing": spacing}
    metadata = {name: value for name, value in metadata.items() if value is not None}
    tifffile.imwrite(path, VOLUME, imagej=True, resolution=(250, 200), metadata=metadata)
    found = Tiff.open(str(path)).voxel_size
    assert found == (voxel_size and pytest.approx(voxel_size, rel=1e-3))


@pytest.mark.parametrize(
    ("resolution", "unit", "voxel_size"),
    [
        ((2.5e6, 2e6), "CENTIMETER", (5, 5, 4)),
        ((6.35e6, 5.08e6), "INCH", (5, 5, 4)),
        ((2.5e6, 2e6), "NONE", None),
        ((72, 72), "INCH", None),
        ((300, 300), "INCH", None),
    ],
)
def test_resolution_tags_state_the_voxel_size(tmp_path, resolution, unit, voxel_size):
    path = tmp_path / "v.tif"
    tifffile.imwrite(
        path, VOLUME, metadata=None, photometric="minisblack",
        resolution=resolution, resolutionunit=unit,
    )  # fmt: skip
    assert Tiff.open(str(path)).voxel_size == (voxel_size and pytest.approx(voxel_size))


@pytest.mark.parametrize(
    ("axes", "shape", "ome"),
    [
        ("TZCYX", (1, 6, 1), True),
        ("ZTCYX", (6, 1, 1), True),
        ("ZYX", (6,), False),
        ("QYX", (6,), False),
    ],
)
def test_z_or_an_axis_without_a_name_is_z(tmp_path, axes, shape, ome):
    path = tmp_path / "v.tif"
    voxels = VOLUME.reshape(*shape, 40, 52)
    tifffile.imwrite(path, voxels, ome=ome, photometric="minisblack", metadata={"axes": axes})
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), VOLUME)


@pytest.mark.parametrize("how", [{"compression": "zlib"}, {}, {"compression": "jpeg"}])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TZYX", (2, 3)), ("CYX", (6,)), ("ZCYX", (3, 2)), ("TYX", (6,)), ("TZCYX", (2, 1, 3))],
)
def test_channels_and_times_are_volumes(tmp_path, axes, shape, how):
    path = str(tmp_path / "v.ome.tif")
    voxels = VOLUME.reshape(*shape, 40, 52)
    how = {"photometric": "minisblack", "tile": (16, 16), **how}
    tifffile.imwrite(path, voxels, ome=True, metadata={"axes": axes}, **how)
    truth, z = tifffile.imread(path).reshape(voxels.shape), axes.find("Z")
    volumes = (np.moveaxis(truth, z, -3) if z >= 0 else truth[..., None, :, :]).reshape(
        -1, shape[z] if z >= 0 else 1, 40, 52
    )
    parts = Tiff.parts(path, Files())
    assert len(parts) == len(volumes)
    places = {str(part): whole(Tiff.open(path, part=part)) for part in parts}
    order = ["", "c=1", "c=2", "t=1", "c=1,t=1", "c=2,t=1"] if axes == "TZCYX" else [*places]
    for text, volume in zip(order, volumes, strict=True):
        np.testing.assert_array_equal(places[text], volume)


def test_channels_of_volumetric_pages(tmp_path):
    path = str(tmp_path / "v.tif")
    voxels = random_volume((3, 8, 32, 48), "uint16")
    how = {"compression": "zlib", "tile": (16, 16, 16), "volumetric": True}
    tifffile.imwrite(path, voxels, photometric="minisblack", metadata={"axes": "CZYX"}, **how)
    for channel, part in enumerate(Tiff.parts(path, Files())):
        np.testing.assert_array_equal(whole(Tiff.open(path, part=part)), voxels[channel])
    assert channel == 2


def test_two_axes_without_a_name_are_refused(tmp_path):
    path = str(tmp_path / "v.tif")
    tifffile.imwrite(path, VOLUME.reshape(2, 3, 40, 52), photometric="minisblack")
    with pytest.raises(SourceError, match=r"2 x 3 x 40 x 52 voxels.*v\.tif#c=0 is one volume"):
        Tiff.open(path)
    np.testing.assert_array_equal(whole(Tiff.open(path, part=Part.parse("c=1"))), VOLUME[3:])


def test_a_pyramid_of_channels(tmp_path):
    path = str(tmp_path / "v.ome.tif")
    voxels = random_volume((3, 4, 64, 80), "uint8")
    how = {"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(voxels, subifds=1, metadata={"axes": "CZYX"}, **how)
        file.write(voxels[..., ::2, ::2], subfiletype=1, **how)
    source = Tiff.open(path, part=Part.parse("c=2"))
    for mip, by in ((0, 1), (1, 2)):
        got = source.read(mip, source.scales[mip].box)
        np.testing.assert_array_equal(got, voxels[2, :, ::by, ::by])


def test_an_imagej_stack_of_more_than_4_gib(tmp_path):
    """Of which ImageJ lists one page, and all sections are behind it."""
    path = tmp_path / "large.tif"
    shape = (5, 30_000, 30_000)
    with pytest.warns(UserWarning, match="truncating ImageJ file"):
        tifffile.imwrite(path, shape=shape, dtype="u1", imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 1
        offset = tiff.pages[0].dataoffsets[0]
    section = 30_000 * 30_000
    with open(path, "r+b") as file:
        for z in range(5):
            file.seek(offset + z * section + 29_999 * 30_000 + 29_990)
            file.write(bytes(range(10 * z, 10 * z + 10)))
    assert path.stat().st_size > 1 << 32
    source = Tiff.open(str(path))
    assert source.scales[0].shape == shape
    assert isinstance(source._levels[0], Flat)
    got = source.read(0, BoundingBox((3, 29_999, 29_990), (5, 30_000, 30_000)))
    np.testing.assert_array_equal(got.reshape(2, 10), [range(30, 40), range(40, 50)])


def test_colours_palettes_and_bits_are_as_in_a_stack(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), "u1")
    path = tmp_path / "v.tif"
    red, green, blue = np.moveaxis(rgb.astype(int), 3, 0)
    for how in (
        {"photometric": "rgb", "compression": "zlib"},
        {"photometric": "rgb"},
        {"photometric": "rgb", "compression": "zlib", "tile": (16, 16)},
    ):
        tifffile.imwrite(path, rgb, **how)
        luminance = (77 * red + 150 * green + 29 * blue + 128) >> 8
        np.testing.assert_array_equal(whole(Tiff.open(str(path))), luminance)
        labels = Tiff.open(str(path), kind="segmentation")
        assert labels.dtype == np.uint32
        np.testing.assert_array_equal(whole(labels), red + 256 * green + 65536 * blue)
    planes = np.ascontiguousarray(np.moveaxis(rgb, 3, 1))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", compression="zlib")
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), luminance)
    tifffile.imwrite(path, VOLUME > 99, photometric="minisblack")
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), np.where(VOLUME > 99, 255, 0))
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), "u2") * 257
    tifffile.imwrite(path, VOLUME, photometric="palette", colormap=colours)
    table = (77 * (colours[0] >> 8) + 150 * (colours[1] >> 8) + 29 * (colours[2] >> 8) + 128) >> 8
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), table[VOLUME])


def test_tiles_of_jpeg_share_their_tables(tmp_path):
    smooth = np.add.outer(np.arange(6), np.add.outer(np.arange(64), np.arange(80))).astype("u1")
    path = tmp_path / "v.tif"
    how = {"compression": "jpeg", "compressionargs": {"level": 95}, "tile": (32, 32)}
    tifffile.imwrite(path, smooth, photometric="minisblack", **how)
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), tifffile.imread(path))


def test_a_tile_that_was_never_written_is_zero(tmp_path):
    path = tmp_path / "v.tif"

    def tiles():
        yield np.full((16, 16), 7, "u1")
        yield None
        yield np.full((16, 16), 9, "u1")
        yield np.full((16, 16), 8, "u1")

    tifffile.imwrite(path, tiles(), shape=(32, 32), dtype="u1", tile=(16, 16), compression="zlib")
    (section,) = whole(Tiff.open(str(path)))
    assert [section[0, 0], section[0, 16], section[16, 0], section[31, 31]] == [7, 0, 9, 8]


def test_a_damaged_strip_is_an_error_and_hides_no_other(tmp_path):
    path = tmp_path / "v.tif"
    tifffile.imwrite(path, VOLUME, compression="zlib", rowsperstrip=40, **GREY)
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[2].dataoffsets[0] + 10
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"damage")
    source = Tiff.open(str(path))
    first = BoundingBox((0, 0, 0), (2, 40, 52))
    np.testing.assert_array_equal(source.read(0, first), VOLUME[:2])
    with pytest.raises(SourceError, match=r"v\.tif, strip or tile 0 at byte \d+, cannot be"):
        whole(source)


def test_sections_in_other_files_are_not_followed(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    for z, name in ((0, "allowed/a.ome.tif"), (1, "b.ome.tif")):
        tifffile.imwrite(tmp_path / name, VOLUME[z], metadata=None)
    uuid = "<UUID FileName='{}'>urn:uuid:{}</UUID>"
    data = "".join(
        f"<TiffData FirstZ='{z}' IFD='0' PlaneCount='1'>{uuid.format(name, name)}</TiffData>"
        for z, name in enumerate(("a.ome.tif", "../b.ome.tif"))
    )
    ome = (
        "<OME xmlns='http://www.openmicroscopy.org/Schemas/OME/2016-06' UUID='urn:uuid:a.ome.tif'>"
        "<Image ID='Image:0'><Pixels ID='Pixels:0' Type='uint8' DimensionOrder='XYZCT' SizeX='52' "
        f"SizeY='40' SizeZ='2' SizeC='1' SizeT='1'>{data}</Pixels></Image></OME>"
    )
    tifffile.imwrite(folder / "a.ome.tif", VOLUME[0], description=ome, metadata=None)
    assert tifffile.imread(folder / "a.ome.tif").shape == (2, 40, 52)
    source = Tiff.open(str(folder / "a.ome.tif"), files=Files([str(folder)]))
    np.testing.assert_array_equal(whole(source), VOLUME[:1])


def test_ome_xml_with_entities_is_refused(tmp_path):
    path = tmp_path / "v.ome.tif"
    ome = "<!DOCTYPE a [<!ENTITY b 'c'>]><OME><Image><Pixels/></Image></OME>"
    tifffile.imwrite(path, VOLUME[0], description=ome, metadata=None)
    with pytest.raises(SourceError):
        Tiff.open(str(path))


def test_a_real_multipage_file(data):
    path = data / "boss_ingest/ingestclient/test/data/test_multipage.tif"
    truth = tifffile.imread(path)
    source = Tiff.open(str(path))
    got = whole(source)
    if truth.ndim == 4:
        red, green, blue = np.moveaxis(truth[..., :3].astype(int), 3, 0)
        truth = (77 * red + 150 * green + 29 * blue + 128) >> 8
    np.testing.assert_array_equal(got, truth)


def test_a_sample_of_scikit_image():
    skimage = pytest.importorskip("skimage")
    path = Path(skimage.__file__).parent / "data" / "multipage.tif"
    if not path.exists():
        pytest.skip("scikit-image came without this sample")
    np.testing.assert_array_equal(whole(Tiff.open(str(path))), tifffile.imread(path))


class TestPyramid(SourceSuite):
    """Of tiles, in SubIFDs, as OME-TIFF has it."""

    source = Tiff
    dtypes = ("uint8", "uint16")
    shape = (5, 140, 133)

    def write(self, folder, volume):
        path = folder / "volume.ome.tif"
        how = {"photometric": "minisblack", "tile": (32, 32), "compression": "zlib"}
        with tifffile.TiffWriter(path, ome=True) as file:
            levels = 2 if min(volume.shape[1:]) > 4 else 0
            axes = {"axes": "TCZYX"}
            file.write(volume[None, None], subifds=levels, metadata=axes, **how)
            for by in (2, 4)[:levels]:
                file.write(volume[None, None, :, ::by, ::by], subfiletype=1, **how)
        return path


@pytest.mark.parametrize("reduced", [0, 1])
@pytest.mark.parametrize("metadata", [{"axes": "ZYX"}, None])
def test_a_pyramid_in_further_images(tmp_path, reduced, metadata, caplog):
    volume = random_volume((4, 100, 131), "uint8")
    levels = {0: volume, 1: volume[:, :50, :65], 3: volume[::2, ::8, ::8]}
    thumbnail = volume[:1, :37, :90]
    path = tmp_path / "v.tif"
    with tifffile.TiffWriter(path) as file:
        for voxels in (*levels.values(), thumbnail):
            how = {"tile": (16, 16), "subfiletype": reduced if voxels is not volume else 0}
            file.write(voxels, photometric="minisblack", metadata=metadata, **how)
    source = Tiff.open(str(path))
    assert {mip: scale.factor for mip, scale in source.scales.items()} == {
        0: (1, 1, 1),
        1: (1, 2, 2),
        3: (2, 8, 8),
    }
    for mip, voxels in levels.items():
        np.testing.assert_array_equal(source.read(mip, source.scales[mip].box), voxels)


def test_another_image_is_no_level(tmp_path):
    path = tmp_path / "v.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(VOLUME, **GREY)
        file.write(VOLUME[:, ::2, ::2].astype("u2"), **GREY)
        file.write(np.zeros((6, 20, 26, 3), "u1"), photometric="rgb")
    assert list(Tiff.open(str(path)).scales) == [0]


def test_where_the_voxel_size_is_from(tmp_path):
    path = tmp_path / "v.tif"
    tifffile.imwrite(path, VOLUME, resolution=(2.5e6, 2e6), resolutionunit="CENTIMETER", **GREY)
    assert Tiff.open(str(path)).voxel_size_source == "file: resolution tags, z as y"
