import json
import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox, ceil_div
from bfly.sources.boss import GLANCE, BossGrid
from bfly.sources.hdf5.source import HDF5
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


def ingest_job(shape, tile, start=(0, 0, 0), origin=None):
    job = {
        "resolution": 0,
        "extent": {axis: [a, a + n] for axis, a, n in zip("zyx", start, shape, strict=True)}
        | {"t": [0, 1]},
        "tile_size": dict(zip("zyx", tile, strict=True)) | {"t": 1},
    }
    if origin:
        job["tile_origin"] = dict(zip(("z", "row", "column"), origin, strict=True))
    return job


def write_tiles(folder, volume, tile, origin=(0, 0, 0), ending="png"):
    """Write tiles, those at the border as small as what is left; give their entries."""
    entries = []
    counts = [ceil_div(size, step) for size, step in zip(volume.shape, tile, strict=True)]
    for index in np.ndindex(*counts):
        corner = np.multiply(index, tile)
        voxels = volume[tuple(slice(a, a + n) for a, n in zip(corner, tile, strict=True))]
        z, row, column = (int(a + b) for a, b in zip(index, origin, strict=True))
        location = f"tiles/{z}_{row}_{column}.{ending}"
        file = folder / location
        file.parent.mkdir(exist_ok=True)
        if ending == "png":
            file.write_bytes(imagecodecs.png_encode(voxels[0]))
        else:
            with tifffile.TiffWriter(file) as writer:
                for page in voxels:
                    writer.write(page, photometric="minisblack", compression="zlib")
        entries.append({"location": location, "z": z, "row": row, "column": column})
    return entries


def by_section(entries):
    zs = sorted({entry["z"] for entry in entries})
    return [{"location": f"tiles/{z}_{{row}}_{{column}}.png", "z": z} for z in zs]


def write_json(folder, job, tiles):
    path = folder / "ingest.json"
    path.write_text(json.dumps({"schema": {}, "ingest_job": job, "tiles": tiles}))
    return path


class BossSuite(SourceSuite):
    source = BossGrid

    def voxel_file(self, path):
        files = (path.parent / "tiles").iterdir()
        return max(files, key=lambda file: file.stat().st_size)


class TestTiles(BossSuite):
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        tiles = write_tiles(folder, volume, (1, 16, 16))
        return write_json(folder, ingest_job(volume.shape, (1, 16, 16)), tiles)


class TestSections(BossSuite):
    def write(self, folder, volume):
        origin = (3, 1, 20)
        tiles = by_section(write_tiles(folder, volume, (1, 32, 16), origin))
        job = ingest_job(volume.shape, (1, 32, 16), (100, 64, 32), origin)
        return write_json(folder, job, tiles)


class TestDeepTiles(BossSuite):
    dtypes = ("uint8", "uint64", "int8", "int16", "int32")

    def write(self, folder, volume):
        tiles = write_tiles(folder, volume, (2, 16, 32), ending="tif")
        return write_json(folder, ingest_job(volume.shape, (2, 16, 32)), tiles)


VOLUME = random_volume((3, 20, 30), "uint8")
TILE = (1, 8, 16)


def whole(source):
    return source.read(0, source.scales[0].box)


def test_tile_origin_and_extent(tmp_path):
    # tile (2, 5, 7) lies at the extent's start, which is voxel (10, 20, 30) of the experiment
    tiles = write_tiles(tmp_path, VOLUME, TILE, (2, 5, 7))
    job = ingest_job(VOLUME.shape, TILE, (10, 20, 30), (2, 5, 7))
    for entries in (tiles, by_section(tiles)):
        source = BossGrid.open(str(write_json(tmp_path, job, entries)))
        assert source.scales[0].shape == VOLUME.shape
        assert source.scales[0].chunk == TILE
        np.testing.assert_array_equal(whole(source), VOLUME)


def test_tiles_outside_the_extent_are_left_out(tmp_path):
    tiles = write_tiles(tmp_path, VOLUME, TILE)
    job = ingest_job((1, 8, 16), TILE, origin=(1, 1, 0))
    source = BossGrid.open(str(write_json(tmp_path, job, tiles)))
    np.testing.assert_array_equal(whole(source), VOLUME[1:2, 8:16, :16])


def test_absolute_locations(tmp_path):
    (tmp_path / "data").mkdir()
    tiles = write_tiles(tmp_path / "data", VOLUME, TILE)
    for tile in tiles:
        tile["location"] = str(tmp_path / "data" / tile["location"])
    source = BossGrid.open(str(write_json(tmp_path, ingest_job(VOLUME.shape, TILE), tiles)))
    np.testing.assert_array_equal(whole(source), VOLUME)


@pytest.mark.parametrize("entries", [lambda tiles: tiles, by_section])
def test_missing_tiles_are_zeros(tmp_path, entries):
    tiles = entries(write_tiles(tmp_path, VOLUME, TILE))
    expected = VOLUME.copy()
    for z, row, column in ((0, 0, 0), (1, 2, 1)):
        (tmp_path / f"tiles/{z}_{row}_{column}.png").unlink()
        expected[z, row * 8 : row * 8 + 8, column * 16 : column * 16 + 16] = 0
    tiles = [tile for tile in tiles if tile["z"] != 2]
    expected[2] = 0
    source = BossGrid.open(str(write_json(tmp_path, ingest_job(VOLUME.shape, TILE), tiles)))
    np.testing.assert_array_equal(whole(source), expected)


def test_no_tile_at_all(tmp_path):
    path = write_json(
        tmp_path, ingest_job(VOLUME.shape, TILE), [{"location": "a{row}{column}", "z": 0}]
    )
    with pytest.raises(SourceError, match=r"ingest.json names no tile that is there"):
        BossGrid.open(str(path))


def test_tiles_that_do_not_fit(tmp_path):
    tiles = write_tiles(tmp_path, VOLUME, TILE)
    source = BossGrid.open(str(write_json(tmp_path, ingest_job(VOLUME.shape, TILE), tiles)))
    file = tmp_path / "tiles/1_0_0.png"
    file.write_bytes(imagecodecs.png_encode(np.ones((8, 15), "u1")))
    with pytest.raises(SourceError, match=r"1_0_0.png is 1 x 8 x 15 voxels; .* needs 1 x 8 x 16"):
        whole(source)
    file.write_bytes(imagecodecs.png_encode(np.ones((8, 16), "u2")))
    with pytest.raises(SourceError, match=r"1_0_0.png holds uint16 voxels, the volume's are uint8"):
        whole(source)
    np.testing.assert_array_equal(source.read(0, BoundingBox((2, 0, 0), (3, 20, 30))), VOLUME[2:])


def without(values, key):
    return {name: value for name, value in values.items() if name != key}


JOB = ingest_job(VOLUME.shape, TILE)
ENTRY = {"location": "a.png", "z": 0, "row": 0, "column": 0}


@pytest.mark.parametrize(
    ("job", "entry", "message"),
    [
        (without(JOB, "extent"), ENTRY, "ingest_job has no extent."),
        (without(JOB, "tile_size"), ENTRY, "ingest_job has no tile_size."),
        (JOB | {"extent": without(JOB["extent"], "y")}, ENTRY, "ingest_job.extent has no y."),
        (JOB | {"extent": [1, 2]}, ENTRY, "ingest_job: extent is [1, 2]; it has to be an object."),
        (JOB | {"extent": JOB["extent"] | {"x": ["0", "30"]}}, ENTRY,
         "ingest_job.extent: x is ['0', '30']; "
         "it has to be [from, to], two whole numbers, to the larger."),
        (JOB | {"extent": JOB["extent"] | {"x": [5, 5]}}, ENTRY,
         "ingest_job.extent: x is [5, 5]; "
         "it has to be [from, to], two whole numbers, to the larger."),
        (JOB | {"tile_size": JOB["tile_size"] | {"x": "512"}}, ENTRY,
         "ingest_job.tile_size: x is '512'; allowed are whole numbers from 1."),
        (JOB | {"tile_size": JOB["tile_size"] | {"z": 0}}, ENTRY,
         "ingest_job.tile_size: z is 0; allowed are whole numbers from 1."),
        (JOB | {"tile_origin": {"row": 1.5}}, ENTRY,
         "ingest_job.tile_origin: row is 1.5; allowed are whole numbers."),
        ([], ENTRY, "ingest_job is []; it has to be an object."),
        (JOB, without(ENTRY, "location"), "tiles[0] has no location."),
        (JOB, without(ENTRY, "z"), "tiles[0] has no z."),
        (JOB, without(ENTRY, "row"), "tiles[0] has no row."),
        (JOB, without(ENTRY, "column"), "tiles[0] has no column."),
        (JOB, ENTRY | {"z": "0"}, "tiles[0]: z is '0'; allowed are whole numbers."),
        (JOB, ENTRY | {"location": 5}, "tiles[0]: location is 5; it has to be text."),
        (JOB, ENTRY | {"location": "s3://bucket/a.png"},
         "tiles[0]: location is 's3://bucket/a.png'; allowed is the path of a file."),
        (JOB, ENTRY | {"location": "a\0b"},
         "tiles[0]: location is 'a\\x00b'; allowed is the path of a file."),
        (JOB, "a.png", "tiles[0] has no location."),
    ],
)  # fmt: skip
def test_bad_json(tmp_path, job, entry, message):
    path = write_json(tmp_path, job, [entry])
    assert BossGrid.guess_can_open(str(path))
    with pytest.raises(SourceError) as caught:
        BossGrid.open(str(path))
    assert str(caught.value).removeprefix(str(path)).lstrip(": ") == message


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[1]", "has to be an object"), ("{}", "has no ingest_job")],
)
def test_no_ingest_file(tmp_path, text, message):
    path = tmp_path / "ingest.json"
    path.write_text(text)
    assert not BossGrid.guess_can_open(str(path))
    with pytest.raises(SourceError, match=rf"ingest.json.* {message}"):
        BossGrid.open(str(path))


def test_guess_reads_the_ends_of_a_long_file(tmp_path):
    path = tmp_path / "ingest.json"
    many = [ENTRY] * (3 * GLANCE // len(json.dumps(ENTRY)))
    for content in (
        {"ingest_job": JOB, "tiles": many},
        {"tiles": many, "ingest_job": JOB},
    ):
        path.write_text(json.dumps(content))
        assert BossGrid.guess_can_open(str(path))
        assert not HDF5.guess_can_open(str(path))
    path.write_text(json.dumps({"tiles": many}))
    assert not BossGrid.guess_can_open(str(path))
    path.write_text(json.dumps({"names": ["ingest_job", "tiles"]}))
    assert not BossGrid.guess_can_open(str(path))


@pytest.mark.parametrize("link", [False, True])
def test_tiles_outside_allowed_paths(tmp_path, link):
    folder = tmp_path / "allowed"
    folder.mkdir()
    tiles = write_tiles(folder, VOLUME, TILE)
    moved = (folder / tiles[5]["location"]).rename(tmp_path / "outside.png")
    if link:
        (folder / tiles[5]["location"]).symlink_to(moved)
    else:
        tiles[5]["location"] = "../outside.png"
    path = write_json(folder, ingest_job(VOLUME.shape, TILE), tiles)
    source = BossGrid.open(str(path), files=Files([str(folder)]))
    np.testing.assert_array_equal(source.read(0, BoundingBox((1, 0, 0), (3, 20, 30))), VOLUME[1:])
    with pytest.raises(NotAllowed, match="is not in allowed-paths"):
        whole(source)


def test_colours(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 16, 3), "u1")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(colours))
    path = str(write_json(tmp_path, ingest_job((1, 8, 16), TILE), [ENTRY]))
    red, green, blue = np.moveaxis(colours.astype(int), 2, 0)
    image = BossGrid.open(path)
    assert (image.dtype, image.kind) == (np.uint8, "image")
    np.testing.assert_array_equal(whole(image)[0], (77 * red + 150 * green + 29 * blue + 128) >> 8)
    labels = BossGrid.open(path, kind="segmentation")
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(whole(labels)[0], red + 256 * green + 65536 * blue)


@pytest.fixture
def samples(data):
    """Return the folder of the ingest client's own examples."""
    return data / "boss_ingest" / "ingestclient" / "test" / "data"


def add_tiles(samples, name, folder, tiles):
    found = json.loads((samples / name).read_text())
    for tile in tiles:
        tile["location"] = os.path.relpath(samples / tile["location"], folder)
    path = folder / name
    path.write_text(json.dumps(found | {"tiles": tiles}))
    return str(path)


def test_real_z_stack(samples, tmp_path):
    names = [f"example_z_stack/{3253 + z}_my_stack_section00{z}.png" for z in range(2)]
    tiles = [{"location": name, "z": z, "row": 0, "column": 0} for z, name in enumerate(names)]
    expected = np.stack([imagecodecs.png_decode((samples / name).read_bytes()) for name in names])
    source = BossGrid.open(add_tiles(samples, "boss-v0.1-zStack.json", tmp_path, tiles))
    assert source.scales[0].shape == (2, 512, 512)
    np.testing.assert_array_equal(whole(source), expected)


def test_real_catmaid_stack(samples, tmp_path):
    def voxels(z, row, column):
        name = f"example_catmaid_stack/{z}/{row}_{column}_0.png"
        return imagecodecs.png_decode((samples / name).read_bytes())

    tiles = [{"location": f"example_catmaid_stack/{z}/{{row}}_{{column}}_0.png", "z": z}
             for z in range(2)]  # fmt: skip
    expected = np.stack([np.concatenate([voxels(z, row, 0) for row in range(2)]) for z in range(2)])
    source = BossGrid.open(add_tiles(samples, "boss-v0.1-catmaidStack.json", tmp_path, tiles))
    assert source.scales[0].shape == (2, 1024, 512)
    np.testing.assert_array_equal(whole(source), expected)


def test_real_pages(samples, tmp_path):
    tiles = [{"location": "test_multipage.tif", "z": 0, "row": 0, "column": 0}]
    path = Path(add_tiles(samples, "boss-v0.1-singleMultipageTiff.json", tmp_path, tiles))
    # its pages are points in time; here they are taken as sections
    found = json.loads(path.read_text())
    found["ingest_job"]["extent"]["z"] = [0, 10]
    found["ingest_job"]["tile_size"]["z"] = 10
    path.write_text(json.dumps(found))
    expected = tifffile.imread(samples / "test_multipage.tif")
    source = BossGrid.open(str(path))
    assert (source.scales[0].shape, source.dtype) == ((10, 256, 512), np.uint16)
    np.testing.assert_array_equal(whole(source), expected)
