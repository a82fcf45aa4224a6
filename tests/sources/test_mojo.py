import io
import shutil

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox, ceil_div
from bfly.sources.mojo import Mojo
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import padded_slice, random_volume


def describe(shape, tile, mips, size, extension):
    z, y, x = shape
    tile_z, tile_y, tile_x = tile
    return (
        '<?xml version="1.0"?>\n<tiledVolumeDescription '
        f'fileExtension="{extension}" numTilesW="{mips}" numBytesPerVoxel="{size}" '
        f'numVoxelsPerTileZ="{tile_z}" numVoxelsPerTileY="{tile_y}" numVoxelsPerTileX="{tile_x}" '
        f'numVoxelsZ="{z}" numVoxelsY="{y}" numVoxelsX="{x}" isSigned="false" />\n'
    )


def write_mojo(folder, levels, tile, extension, encode):
    """Write the volumes of all mips; tiles at the border are filled up with 7s."""
    text = describe(levels[0].shape, tile, len(levels), levels[0].dtype.itemsize, extension)
    (folder / "tiledVolumeDescription.xml").write_text(text)
    for mip, volume in enumerate(levels):
        counts = [ceil_div(size, step) for size, step in zip(volume.shape, tile, strict=True)]
        padded = np.full(np.multiply(counts, tile), 7, volume.dtype)
        padded[tuple(map(slice, volume.shape))] = volume
        for z, y, x in np.ndindex(*counts):
            corner = np.multiply((z, y, x), tile)
            voxels = padded[tuple(slice(a, a + n) for a, n in zip(corner, tile, strict=True))]
            file = tile_file(folder, mip, z, y, x, extension)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(voxels))
    return folder


def tile_file(folder, mip, z, y, x, extension):
    return folder / "tiles" / f"w={mip:08d}" / f"z={z:08d}" / f"y={y:08d},x={x:08d}.{extension}"


def png(voxels):
    return imagecodecs.png_encode(voxels[0])


def tiff(voxels):
    file = io.BytesIO()
    tifffile.imwrite(file, voxels, photometric="minisblack", compression="zlib")
    return file.getvalue()


def hdf5(voxels, name="IdMap"):
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_dataset("a", data=[1, 2, 3])
        h5.create_dataset(name, data=voxels, compression="gzip")
    return file.getvalue()


def halved(volume, mips):
    """Make volumes of the right shapes; their voxels need no likeness."""
    z, y, x = volume.shape
    shapes = [(z, ceil_div(y, 2**mip), ceil_div(x, 2**mip)) for mip in range(1, mips)]
    return [volume] + [
        random_volume(shape, volume.dtype.name, mip) for mip, shape in enumerate(shapes, 1)
    ]


class TestPng(SourceSuite):
    source = Mojo
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        return write_mojo(folder, halved(volume, 3), (1, 32, 32), "png", png)


class TestPagesOfTiff(SourceSuite):
    source = Mojo
    dtypes = ("uint8", "uint16", "uint32", "uint64")

    def write(self, folder, volume):
        return write_mojo(folder, [volume], (2, 20, 33), "tif", tiff)


class TestHdf5(SourceSuite):
    source = Mojo
    dtypes = ("uint8", "uint16", "uint32", "uint64")

    def write(self, folder, volume):
        return write_mojo(folder, halved(volume, 2), (2, 16, 16), "hdf5", hdf5)


@pytest.fixture
def levels():
    return halved(random_volume((3, 21, 37), "uint8"), 4)


@pytest.fixture
def mojo(tmp_path, levels):
    folder = tmp_path / "mojo"
    folder.mkdir()
    return write_mojo(folder, levels, (1, 8, 16), "png", png)


def whole(source, mip=0):
    return source.read(mip, source.scales[mip].box)


def test_all_mips(mojo, levels):
    source = Mojo.open(str(mojo))
    shapes = [(3, 21, 37), (3, 11, 19), (3, 6, 10), (3, 3, 5)]
    assert [scale.shape for scale in source.scales.values()] == shapes
    for mip, volume in enumerate(levels):
        assert source.scales[mip].chunk == (1, 8, 16)
        for box in (
            BoundingBox((-1, -1, -1), (4, 30, 40)),
            BoundingBox((1, 1, 1), (3, 3, 4)),
            source.scales[mip].box,
        ):
            np.testing.assert_array_equal(source.read(mip, box), padded_slice(volume, box))


def test_missing_tile_is_zeros_and_noticed_when_it_comes(mojo, levels):
    file = tile_file(mojo, 0, 1, 1, 2, "png")
    content = file.read_bytes()
    file.unlink()
    expected = levels[0].copy()
    expected[1, 8:16, 32:37] = 0
    source = Mojo.open(str(mojo))
    np.testing.assert_array_equal(whole(source), expected)
    assert source.changed() is None
    file.write_bytes(content)
    assert source.changed() == str(file)
    np.testing.assert_array_equal(whole(Mojo.open(str(mojo))), levels[0])


def test_tile_that_cannot_be_read_is_not_zeros(mojo):
    file = tile_file(mojo, 0, 1, 1, 2, "png")
    file.unlink()
    file.mkdir()
    with pytest.raises(SourceError, match=r"y=00000001,x=00000002.png cannot be read: Is a dir"):
        whole(Mojo.open(str(mojo)))


def test_tile_that_is_too_small(mojo):
    file = tile_file(mojo, 0, 1, 1, 1, "png")
    file.write_bytes(png(np.ones((1, 8, 15), "u1")))
    with pytest.raises(SourceError) as caught:
        whole(Mojo.open(str(mojo)))
    assert str(caught.value) == (
        f"{file} is 1 x 8 x 15 voxels; its place in the volume needs 1 x 8 x 16."
    )


def test_tile_at_the_border_may_be_cropped(mojo, levels):
    file = tile_file(mojo, 0, 2, 2, 2, "png")
    file.write_bytes(png(levels[0][2:, 16:21, 32:37]))
    np.testing.assert_array_equal(whole(Mojo.open(str(mojo))), levels[0])


def test_narrow_tiles_fit_and_wide_ones_do_not(mojo):
    file = tile_file(mojo, 0, 0, 0, 0, "png")
    file.write_bytes(png(np.full((1, 8, 16), 300, "u2")))
    with pytest.raises(SourceError, match="holds uint16 voxels, the volume's are uint8"):
        whole(Mojo.open(str(mojo)))
    rewrite(mojo, 'numBytesPerVoxel="1"', 'numBytesPerVoxel="2"')
    source = Mojo.open(str(mojo))
    assert source.dtype == np.uint16
    assert (source.read(0, BoundingBox((0, 0, 0), (1, 8, 16))) == 300).all()


def test_colours_of_label_tiles_are_ids(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 4), "u1")
    write_mojo(tmp_path, [np.zeros((1, 8, 8), "u4")], (1, 8, 8), "png", lambda _: b"")
    tile_file(tmp_path, 0, 0, 0, 0, "png").write_bytes(imagecodecs.png_encode(colours))
    expected = colours[..., :3].astype("u4") @ np.array([1, 256, 65536], "u4")
    np.testing.assert_array_equal(whole(Mojo.open(str(tmp_path)))[0], expected)


@pytest.mark.parametrize("dtype", ["int32", "uint32"])
@pytest.mark.parametrize("name", ["main", "IdMap", "Z"])
def test_hdf5_datasets(tmp_path, name, dtype):
    volume = random_volume((2, 8, 8), "uint32") >> 1
    flat = name == "IdMap"

    def encode(voxels):
        file = io.BytesIO()
        with h5py.File(file, "w") as h5:
            h5["other" if name != "Z" else "later"] = np.zeros((1, 8, 8), dtype)
            if name == "Z":
                del h5["later"]
            h5[name] = voxels[0] if flat else voxels
        return file.getvalue()

    write_mojo(tmp_path, [volume.astype(dtype)], (1, 4, 4), "hdf5", encode)
    np.testing.assert_array_equal(whole(Mojo.open(str(tmp_path))), volume)


def test_a_negative_voxel_is_no_unsigned_one(tmp_path):
    def encode(voxels):
        file = io.BytesIO()
        with h5py.File(file, "w") as h5:
            h5["main"] = voxels
        return file.getvalue()

    write_mojo(tmp_path, [np.full((1, 4, 4), -1, "i4")], (1, 4, 4), "hdf5", encode)
    with pytest.raises(SourceError, match=r"x=.*hdf5 .*holds no int32, and a voxel is -1"):
        whole(Mojo.open(str(tmp_path)))


def hdf5_bytes(fill):
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        fill(h5)
    return file.getvalue()


def virtual(h5):
    layout = h5py.VirtualLayout((1, 8, 8), "u4")
    layout[:] = h5py.VirtualSource("/elsewhere.h5", "main", (1, 8, 8))
    h5.create_virtual_dataset("main", layout)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda h5: h5.create_group("main"), "it has no dataset"),
        (lambda h5: h5.update(main=h5py.ExternalLink("/elsewhere.h5", "main")), "no dataset"),
        (lambda h5: h5.create_dataset("main", (1, 8, 8), "u4", external=[("/etc/passwd", 0, 256)]),
         "the voxels of /main lie in another file"),
        (virtual, "the voxels of /main lie in another file"),
        (lambda h5: h5.create_dataset("main", data=[1, 2]), "/main has 1 axes; allowed are 2 and"),
        (lambda h5: h5.create_dataset("main", data=np.zeros((1, 8, 8))), "holds float32 voxels"),
    ],
)  # fmt: skip
def test_hdf5_tiles_that_are_refused(tmp_path, fill, message):
    write_mojo(tmp_path, [np.zeros((1, 8, 8), "u4")], (1, 8, 8), "hdf5", lambda _: hdf5_bytes(fill))
    with pytest.raises(SourceError, match=rf"y=00000000,x=00000000.hdf5 .*{message}"):
        whole(Mojo.open(str(tmp_path)))


def rewrite(folder, old, new):
    xml = folder / "tiledVolumeDescription.xml"
    text = xml.read_text()
    assert old in text
    xml.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('numTilesW="4"', "", "has no attribute numTilesW"),
        ('numVoxelsX="37"', "", "has no attribute numVoxelsX"),
        ('numVoxelsX="37"', 'numVoxelsX="many"', "numVoxelsX is 'many'; allowed are 1 to"),
        ('numVoxelsX="37"', 'numVoxelsX="-1"', "numVoxelsX is '-1'; allowed are 1 to"),
        ('PerTileY="8"', 'PerTileY="0"', "numVoxelsPerTileY is '0'; allowed are 1 to"),
        ('numTilesW="4"', 'numTilesW="1000000000"', "numTilesW is '1000000000'; .* 1 to 32"),
        ('Voxel="1"', 'Voxel="3"', "numBytesPerVoxel is '3'; allowed are 1, 2, 4, 8"),
        ('Extension="png"', 'Extension="/../x"', "fileExtension is '/../x'; allowed are avif, bmp"),
        ("/>", "", "is not XML"),
        ("<tiledVolumeDescription", "<other", "has the root other; allowed is tiledVolumeDesc"),
        ("<tiled", '<!DOCTYPE a [<!ENTITY b "c">]><tiled', "has a document type"),
    ],
)
def test_bad_description(mojo, old, new, message):
    rewrite(mojo, old, new)
    assert Mojo.guess_can_open(str(mojo))
    with pytest.raises(SourceError, match=rf"tiledVolumeDescription.xml.*{message}"):
        Mojo.open(str(mojo))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_the_description(mojo, levels, encoding):
    xml = mojo / "tiledVolumeDescription.xml"
    declared = {"utf-8-sig": "utf-8", "cp1252": "Windows-1252"}.get(encoding, encoding)
    text = xml.read_text().replace("?>", f' encoding="{declared}"?>')
    xml.write_bytes(text.encode(encoding))
    (mojo / "tiles").rename(mojo / "elsewhere")
    assert Mojo.guess_can_open(str(mojo)), "the tiles give it away no more, the XML has to"
    assert Mojo.open(str(mojo)).scales[0].shape == levels[0].shape
    xml.write_bytes(text.replace("<tiled", "<!DOCTYPE a []><tiled").encode(encoding))
    with pytest.raises(SourceError, match="has a document type"):
        Mojo.open(str(mojo))


def test_description_is_missing(mojo):
    (mojo / "tiledVolumeDescription.xml").unlink()
    assert Mojo.guess_can_open(str(mojo))
    with pytest.raises(SourceError, match=r"mojo has no tiledVolumeDescription.xml, which a Mojo"):
        Mojo.open(str(mojo))


def test_description_among_the_tiles(mojo, levels):
    (mojo / "tiledVolumeDescription.xml").rename(mojo / "tiles" / "tiledVolumeDescription.xml")
    assert Mojo.guess_can_open(str(mojo))
    np.testing.assert_array_equal(whole(Mojo.open(str(mojo))), levels[0])


def test_tile_that_is_a_link_out_of_allowed_paths(mojo, tmp_path, levels):
    file = tile_file(mojo, 0, 1, 0, 0, "png")
    file.rename(tmp_path / "outside.png")
    file.symlink_to(tmp_path / "outside.png")
    source = Mojo.open(str(mojo), files=Files([str(mojo)]))
    np.testing.assert_array_equal(source.read(0, BoundingBox((0, 0, 0), (1, 21, 37))),
                                  levels[0][:1])  # fmt: skip
    with pytest.raises(NotAllowed, match="is not in allowed-paths"):
        whole(source)


OTHER_NAMES = {
    "ending": lambda name: name.replace(".png", ".tif"),
    "case": lambda name: name.replace(".png", ".PNG"),
    "digits": lambda name: name.replace("=0000", "="),
    "plain": lambda name: name.replace("y=", "").replace("x=", ""),
}


def rename(folder, renamed, every=1):
    for file in sorted(folder.rglob("y=*"))[::every]:
        target = folder / renamed(file.relative_to(folder).as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)


@pytest.mark.parametrize("how", OTHER_NAMES)
def test_tiles_under_other_names_are_refused(mojo, how):
    rename(mojo / "tiles" / "w=00000000", OTHER_NAMES[how])
    with pytest.raises(SourceError, match=r"mojo: tiles/w=00000000/z=\S+ is .*there"):
        Mojo.open(str(mojo))


@pytest.mark.parametrize("how", ["ending", "case", "digits"])
def test_a_part_of_the_tiles_under_other_names_is_refused(mojo, how):
    rename(mojo / "tiles" / "w=00000000", OTHER_NAMES[how], every=4)
    with pytest.raises(SourceError, match=r"is missing, tiles/w=00000000/\S+ is there instead"):
        Mojo.open(str(mojo))


def test_a_mip_without_tiles_is_computed(mojo, levels, caplog):
    for file in (mojo / "tiles" / "w=00000002").rglob("*.png"):
        file.unlink()
    shutil.rmtree(mojo / "tiles" / "w=00000003")
    source = Mojo.open(str(mojo))
    assert source.scales.keys() == {0, 1}
    assert "the level w=00000003 has no tiles; it is computed instead" in caplog.text
    np.testing.assert_array_equal(source.read(1, source.scales[1].box), levels[1])


def test_only_coarser_tiles_are_refused(mojo):
    shutil.rmtree(mojo / "tiles" / "w=00000000")
    with pytest.raises(SourceError, match="no tiles of its finest level, w=00000000, but of w=000"):
        Mojo.open(str(mojo))


def test_a_volume_without_tiles_is_said_until_there_are_some(mojo, levels, tmp_path, caplog):
    (mojo / "tiles").rename(tmp_path / "tiles")
    source = Mojo.open(str(mojo))
    assert f"{mojo} has no tiles" in caplog.text
    assert not source.read(0, source.scales[0].box).any()
    assert source.changed() is None
    (tmp_path / "tiles").rename(mojo / "tiles")
    assert source.changed() is not None
    source = Mojo.open(str(mojo))
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), levels[0])
