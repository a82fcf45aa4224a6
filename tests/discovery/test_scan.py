import io
import json
import os
import shutil
import socket

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from rich.console import Console

from bfly import registry
from bfly.config.config import Config
from bfly.discovery import scan
from bfly.discovery.passed_over import Kind
from bfly.discovery.report import report
from bfly.errors import ConfigError, NotAllowed
from bfly.sources.boss import BossGrid
from bfly.sources.hdf5 import HDF5
from bfly.storage.files import Files
from bfly.storage.part import WHOLE


class ByMark:
    """A format of files that begin with a mark; of a folder, its first file does."""

    marks = None

    def __init__(self, mark, *, folder=None, endings=()):
        self.mark, self.folder, self.asked = mark, folder, []
        self.endings = dict(endings)

    def guess_can_open(self, path):
        self.asked.append(path)
        if os.path.isdir(path) and self.folder:
            inside = sorted(n for n in os.listdir(path) if self.folder in n)
            path = os.path.join(path, *inside[:1])
        if not os.path.isfile(path):
            return False
        with open(path) as file:
            return file.read().startswith(self.mark)

    def parts(self, path, files):
        return (WHOLE,)


@pytest.fixture
def sources(monkeypatch):
    found = {
        "boss": ByMark("boss", endings=BossGrid.endings),
        "hdf5": ByMark("hdf5", endings=HDF5.endings),
        "mojo": ByMark("mojo", folder="tiledVolumeDescription.xml"),
        "stack": ByMark("image", folder=".png"),
    }
    monkeypatch.setattr(registry, "find", lambda kind: {"sources": found}[kind])
    return found


@pytest.fixture
def make(tmp_path, sources):
    """Make files below a folder `data`, each holding its text."""

    def make(*files):
        for file in files:
            name, _, text = file.rpartition("=")
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "data"

    return make


def look(folder, files=None):
    return scan.scan(str(folder), files or Files())


def shown(found):
    """Return {dataset: [channels]} of what was found."""
    if not found.experiments:
        return {}
    ((sample,),) = [experiment.samples for experiment in found.experiments]
    return {
        dataset.name: [channel.name for channel in dataset.channels] for dataset in sample.datasets
    }


def skipped(found, folder):
    return {os.path.relpath(path, folder): reason for path, reason in found.skipped}


def test_the_documented_example(make):
    data = make("dense/excellent/neuron.h5=hdf5", "dense/raw-image.h5=hdf5")
    found = look(f"{data}/")
    (root,) = found.experiments
    (sample,) = root.samples
    assert (root.name, sample.name) == ("root", "data")
    dense, excellent = sample.datasets
    assert (dense.name, dense.path) == ("dense", str(data / "dense"))
    assert (excellent.name, excellent.path) == ("excellent", str(data / "dense" / "excellent"))
    assert [c.path for c in excellent.channels] == [str(data / "dense/excellent/neuron.h5")]
    assert shown(found) == {"dense": ["raw-image.h5"], "excellent": ["neuron.h5"]}
    assert (found.skipped, found.others) == ([], 0)


def test_every_format_is_told_by_its_content(make):
    data = make(
        "a.h5=hdf5", "b.HDF5=hdf5", "c.json=boss", "d.json=hdf5", "em/1.png=image", "em/2.png=no",
        "mojo/tiledVolumeDescription.xml=mojo", "mojo/tiles/w=00000000/z=0/y=0,x=0.png=image",
    )  # fmt: skip
    found = look(data)
    assert shown(found) == {"data": ["a.h5", "b.HDF5", "c.json", "d.json", "em", "mojo"]}
    assert (found.skipped, found.others) == ([], 0)


@pytest.mark.parametrize("file", ["1.png=image", "tiledVolumeDescription.xml=mojo"])
def test_the_folder_itself_can_be_the_channel(make, file):
    data = make(file)
    (dataset,) = look(data).experiments[0].samples[0].datasets
    assert (dataset.name, dataset.path) == ("data", str(data))
    assert [(c.name, c.path) for c in dataset.channels] == [("data", str(data))]


def test_a_more_specific_format_is_asked_before_the_stack(make, sources):
    make("x/tiledVolumeDescription.xml=mojo", "x/1.png=image")
    data = make("y/1.png=image")
    assert shown(look(data)) == {"data": ["x", "y"]}
    assert sources["stack"].asked == [str(data / "y")]


def test_a_stack_is_not_sniffed_image_by_image(make, sources):
    data = make(*[f"em/{i}.png=image" for i in range(50)])
    look(data)
    assert sources["stack"].asked == [str(data / "em")]
    assert not any(path.endswith(".png") for s in sources.values() for path in s.asked)


def test_files_of_other_extensions_are_counted_and_not_opened(make, sources):
    data = make("em.h5=hdf5", "README.txt=hdf5", "Makefile=hdf5", "x.csv=hdf5", "d/h5=hdf5")
    found = look(data)
    assert shown(found) == {"data": ["em.h5"]}
    assert found.others == 4
    opened = [path for s in sources.values() for path in s.asked if os.path.isfile(path)]
    assert opened == [str(data / "em.h5")] * len(opened)


def test_images_beside_channels_are_no_stack(make):
    data = make("a/em.h5=hdf5", "a/shot.png=image", "b/1.png=image", "b/c/1.png=image", "b/n/x=")
    found = look(data)
    assert shown(found) == {"a": ["em.h5"], "b": ["c"]}
    reason = "images beside channels: a stack needs a folder of its own"
    assert skipped(found, data) == {"a/shot.png": reason, "b/1.png": reason}


def test_images_beside_folders_without_channels_are_a_stack(make):
    data = make("em/1.png=image", "em/notes/x.txt=", "em/.cache/x.h5=hdf5", "em/neuron-soma.json=")
    found = look(data)
    assert shown(found) == {"data": ["em"]}
    assert (found.skipped, found.others) == ([], 1)


def test_what_looks_like_a_channel_and_is_none_has_a_reason(make):
    data = make(
        "a/bad.h5=", "a/bad.hdf=", "a/bad.json={}", "broken/1.png=",
        "m/tiledVolumeDescription.xml=", "m/tiles/w=00000000/z=0/y=0,x=0.png=image",
        "n/tiles/w=00000000/z=0/y=0,x=0.png=image",
        "synapse-connections.json=", "neuron-soma.json=",
    )  # fmt: skip
    found = look(data)
    assert found.experiments == ()
    assert skipped(found, data) == {
        "a/bad.h5": "not an HDF5 file",
        "a/bad.hdf": "not an HDF5 file",
        "a/bad.json": "neither a BOSS tile grid nor a pointer to HDF5 files",
        "broken": "images that cannot be read as a stack",
        "m": "not a whole Mojo volume: tiledVolumeDescription.xml is missing or damaged",
        "n/tiles": "not a whole Mojo volume: tiledVolumeDescription.xml is missing or damaged",
    }
    assert found.others == 0


def test_hidden_things_are_passed_over(make):
    data = make(".hidden/em.h5=hdf5", ".em.h5=hdf5", "._em.h5=", "d/em.h5=hdf5")
    found = look(data)
    assert shown(found) == {"d": ["em.h5"]}
    assert (found.skipped, found.others) == ([], 0)


def test_datasets_of_one_name_get_their_path_as_name(make):
    data = make(
        "a/seg/x.h5=hdf5", "b/seg/y.h5=hdf5", "c/a-seg/z.h5=hdf5", "data/v.h5=hdf5", "w.h5=hdf5",
        "e/data/u.h5=hdf5",
    )  # fmt: skip
    assert shown(look(data)) == {
        "a-seg": ["z.h5"],
        "a-seg-2": ["x.h5"],
        "b-seg": ["y.h5"],
        "data": ["w.h5"],
        "data-2": ["v.h5"],
        "e-data": ["u.h5"],
    }


def test_names_that_cannot_be_part_of_an_address(make, tmp_path):
    data = make("a::b/em.h5=hdf5", "c/x:.h5:=hdf5", "c/y::.h5=hdf5", "d/em.h5=hdf5")
    (data / "d" / os.fsdecode(b"\xff.h5")).write_text("hdf5")
    found = look(data)
    assert shown(found) == {"d": ["em.h5"]}
    assert sorted(skipped(found, data)) == ["a::b/em.h5", "c/y::.h5", r"d/\xff.h5"]
    assert "no fit name" in found.skipped[0][1]
    (tmp_path / "p::q").mkdir()
    with pytest.raises(ConfigError, match="cannot name a sample"):
        look(tmp_path / "p::q")


def test_links_are_followed_where_that_is_allowed(make, tmp_path):
    data = make("real/em.h5=hdf5", "stack/1.png=image")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("em.h5", "1.png"):
        (outside / name).write_text("hdf5" if name == "em.h5" else "image")
    (data / "d").mkdir()
    (data / "d" / "again.h5").symlink_to(data / "real" / "em.h5")
    (data / "d" / "stack").symlink_to(data / "stack")
    (data / "d" / "out.h5").symlink_to(outside / "em.h5")
    (data / "d" / "out").symlink_to(outside)
    (data / "d" / "gone.h5").symlink_to(data / "nowhere.h5")
    (data / "d" / "self").symlink_to(data / "d" / "self")
    (data / "mixed").mkdir()
    (data / "mixed" / "0.png").symlink_to(outside / "1.png")
    (data / "mixed" / "1.png").write_text("image")
    found = look(data, Files([str(data)]))
    assert shown(found) == {"d": ["again.h5", "stack"], "data": ["stack"], "real": ["em.h5"]}
    assert skipped(found, data) == {
        "d/gone.h5": "a link that leads nowhere",
        "d/out": "a link that leads outside allowed-paths",
        "d/out.h5": "a link that leads outside allowed-paths",
        "d/self": "a link that leads nowhere",
        "mixed": "images of which some cannot be reached",
        "mixed/0.png": "a link that leads outside allowed-paths",
    }
    everything = shown(look(data))
    assert everything["d"] == ["again.h5", "out.h5", "stack"]
    assert everything["out"] == ["em.h5"]
    assert everything["data"] == ["mixed", "stack"]


def test_loops_end(make, tmp_path):
    data = make("a/em.h5=hdf5", "b/em.h5=hdf5")
    (data / "a" / "up").symlink_to(data)
    (data / "a" / "b").symlink_to(data / "b")
    (data / "b" / "a").symlink_to(data / "a")
    (data / "b" / "further").symlink_to(tmp_path)
    found = look(data)
    assert set(shown(found)) >= {"a-b", "b-a"}
    assert {reason for _, reason in found.skipped} == {"a link back to a folder that it lies in"}


def test_what_cannot_be_read_has_its_reason(make, monkeypatch):
    data = make("a/em.h5=", "b/em.h5=hdf5", "c/em.h5=hdf5")
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("/c"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = look(data)
    assert shown(found) == {"b": ["em.h5"]}
    assert skipped(found, data) == {
        "a/em.h5": "it cannot be read",
        "c": "it cannot be read: Permission denied",
    }


def test_only_plain_files_are_opened(make, monkeypatch):
    data = make("d/em.h5=hdf5")
    os.mkfifo(data / "d" / "pipe.h5")
    os.mkfifo(data / "d" / "pipe.png")
    monkeypatch.chdir(data)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.json")
        found = look(data)
    assert shown(found) == {"d": ["em.h5"]}
    assert found.others == 2


def test_a_folder_named_like_a_file_is_a_folder(make):
    assert shown(look(make("x.h5/em.h5=hdf5", "y.png/em.h5=hdf5"))) == {
        "x.h5": ["em.h5"],
        "y.png": ["em.h5"],
    }


def test_an_empty_folder_has_no_experiment(make):
    assert look(make("x.txt=")) == scan.Found((), [], [], (Kind("of .txt", 1, "x.txt"),))


def test_it_takes_an_allowed_folder(make, tmp_path):
    data = make("em.h5=hdf5")
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        look(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"em\.h5 is not a folder"):
        look(data / "em.h5")
    with pytest.raises(NotAllowed):
        look(data, Files([str(tmp_path / "other")]))


def test_what_is_found_can_be_saved_and_loaded(make, tmp_path):
    data = make("a/seg/x.h5=hdf5", "b/seg/y.h5=hdf5", "b/em/1.png=image")
    config = Config(experiments=look(data).experiments)
    config.save(str(tmp_path / "found.yaml"))
    assert Config.load(str(tmp_path / "found.yaml")) == config
    assert look(data) == look(data)


def test_the_report(make):
    data = make("many/em.h5=hdf5", *[f"[bad]/{i:02}.h5=" for i in range(13)], "x=")
    out = io.StringIO()
    report(look(data), Console(file=out, width=40))
    assert out.getvalue().splitlines() == [
        "Skipped 13: not an HDF5 file",
        *[f"  {data}/[bad]/{i:02}.h5" for i in range(10)],
        "  … 3 more",
        "Passed over: 1 without an ending (x).",
    ]


def test_the_report_of_nothing(make):
    out = io.StringIO()
    report(look(make("x.h5/y/.z=")), Console(file=out))
    assert out.getvalue() == "No channel of a known format was found.\n"


def test_progress_is_shown_on_a_terminal_only(make, monkeypatch):
    data = make("d/em.h5=hdf5")
    for terminal in (False, True):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal)
        monkeypatch.setattr(scan, "Console", lambda stderr, console=console: console)
        assert shown(look(data)) == {"d": ["em.h5"]}
        assert ("Looking into" in out.getvalue()) is terminal


def test_a_tiff_of_several_sections_is_a_channel_of_its_own(tmp_path):
    folder, several = tmp_path / "data", np.ones((3, 8, 9), np.uint8)
    for name, voxels in {
        "alone/em.tif": several, "pair/em.tif": several, "pair/seg.tiff": several,
        "beside/em.tif": several, "beside/sketch.png": several[0], "stack/0.tif": several[0],
        "stack/1.tif": several[0], "one/0.tif": several[0], "late/0.tif": several[0],
        "late/1.tif": several,
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, voxels, photometric="minisblack")
    with h5py.File(folder / "alone" / "seg.h5", "w") as file:
        file["main"] = several
    found = look(folder)
    assert shown(found) == {
        "alone": ["em.tif", "seg.h5"],
        "beside": ["em.tif"],
        "data": ["late", "one", "stack"],
        "pair": ["em.tif", "seg.tiff"],
    }
    assert skipped(found, folder) == {
        "beside/sketch.png": "images beside channels: a stack needs a folder of its own"
    }


def test_real_formats(tmp_path):
    folder = tmp_path / "data"
    for inner in ("em", "mojo", "broken"):
        (folder / inner).mkdir(parents=True)
    (folder / "em" / "1.png").write_bytes(imagecodecs.png_encode(np.zeros((4, 4), np.uint8)))
    (folder / "broken" / "1.png").write_bytes(b"no image")
    with h5py.File(folder / "seg.h5", "w") as file:
        file["main"] = np.zeros((1, 4, 4), np.uint16)
    (folder / "broken.h5").write_bytes(b"no HDF5")
    pointer = {"filename": "seg.h5", "dataset-path": "main", "z-offset": 0}
    (folder / "pointer.json").write_text(json.dumps([pointer]))
    extent, size = {axis: [0, 4] for axis in "zyx"}, {"z": 1, "y": 4, "x": 4}
    tile = {"location": "em/1.png", "z": 0, "row": 0, "column": 0}
    job = {"ingest_job": {"tile_size": size, "extent": extent}, "tiles": [tile]}
    (folder / "grid.json").write_text(json.dumps(job))
    (folder / "package.json").write_text("{}")
    (folder / "mojo" / "tiledVolumeDescription.xml").write_text(
        '<tiledVolumeDescription numBytesPerVoxel="1" fileExtension="png" numTilesW="1" '
        'numVoxelsPerTileX="4" numVoxelsPerTileY="4" numVoxelsPerTileZ="1" '
        'numVoxelsX="4" numVoxelsY="4" numVoxelsZ="1" />'
    )
    found = look(folder)
    assert shown(found) == {"data": ["em", "grid.json", "mojo", "pointer.json", "seg.h5"]}
    assert sorted(skipped(found, folder)) == ["broken", "broken.h5", "package.json"]


def test_folders_and_archives_of_arrays_are_one_channel_each(tmp_path):
    folder = tmp_path / "data"
    voxels = np.ones((2, 3, 4), np.uint8)
    pyramid = zarr.open_group(str(folder / "em.ome.zarr"), mode="w", zarr_format=2)
    pyramid.create_array("0", data=voxels)
    pyramid.attrs["multiscales"] = [{"axes": [*"zyx"], "datasets": [{"path": "0"}]}]
    container = zarr.open_group(str(folder / "some.zarr"), mode="w", zarr_format=3)
    container.create_array("volumes/raw", data=voxels)
    container.create_array("volumes/labels", data=voxels)
    zarr.create_array(str(tmp_path / "one"), data=voxels)
    shutil.make_archive(str(folder / "one"), "zip", tmp_path / "one")
    shutil.make_archive(str(folder / "other"), "zip", tmp_path / "one", "c")
    found = look(folder)
    assert shown(found) == {
        "data": ["em.ome.zarr", "one.zip"],
        "volumes": ["labels", "raw"],
    }
    assert [os.path.basename(path) for path, _ in found.skipped] == ["other.zip"]


def test_files_of_a_plug_in_are_found_by_their_ending(make, sources):
    sources["meta"] = ByMark("meta", endings={"mhd": "a MetaImage"})
    data = make("a/em.mhd=meta", "a/bad.mhd=other")
    found = look(data)
    assert shown(found) == {"a": ["em.mhd"]}
    assert skipped(found, data) == {"a/bad.mhd": "not a MetaImage"}


def test_each_volume_of_a_file_is_a_channel(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    volume = np.zeros((2, 3, 4), "u1")
    for name, datasets in {
        "one.h5": ["main"],
        "stack.h5": ["group/stack"],
        "cremi.hdf": ["volumes/labels/neuron_ids", "volumes/raw"],
        "same.h5": ["a/b", "a-b", "z"],
    }.items():
        with h5py.File(folder / name, "w") as file:
            for dataset in datasets:
                file[dataset] = volume
    with h5py.File(folder / "rgb.h5", "w") as file:
        file["main"] = np.zeros((2, 3, 4, 3), "u1")
        file["main"].attrs["axes"] = "zyxc"
    (dataset,) = look(folder).experiments[0].samples[0].datasets
    assert {
        channel.name: os.path.relpath(channel.path, folder) for channel in dataset.channels
    } == {
        "one.h5": "one.h5",
        "stack.h5": "stack.h5",
        "cremi.hdf": "cremi.hdf",
        "cremi.hdf-volumes-raw": "cremi.hdf#volumes/raw",
        "rgb.h5": "rgb.h5",
        "rgb.h5-c1": "rgb.h5#c=1",
        "rgb.h5-c2": "rgb.h5#c=2",
        "same.h5": "same.h5",
        "same.h5-a-b": "same.h5#a/b",
        "same.h5-z": "same.h5#z",
    }


def test_volumes_of_one_name_are_numbered(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with h5py.File(folder / "v.h5", "w") as file:
        for name in ("0", "a/b", "a-b"):
            file[name] = np.zeros((2, 3, 4), "u1")
    (dataset,) = look(folder).experiments[0].samples[0].datasets
    assert [channel.name for channel in dataset.channels] == ["v.h5", "v.h5-a-b", "v.h5-a-b-2"]


def test_folders_of_the_system_hide_no_stack(make):
    data = make(
        "em/0.png=image", "em/1.png=image", "em/@eaDir/0.png/SYNOPHOTO_THUMB_M.png=image",
        "em/__MACOSX/._0.png=image", "em/__MACOSX/0.png=image", "em/.thumbnails/0.png=image",
        "em/#recycle/0.png=image", "em/Thumbs.db=", "em/Thumbnails/0.png=image",
        "alone/@eaDir/em.h5=hdf5",
    )  # fmt: skip
    found = look(data)
    assert shown(found) == {"data": ["em"]}
    assert skipped(found, data) == {"em/Thumbnails": "a folder of thumbnails"}
    assert found.others == 0


def write_sections(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        if name.endswith("png"):
            (folder / name).write_bytes(imagecodecs.png_encode(np.zeros((4, 4), np.uint8)))
        else:
            tifffile.imwrite(folder / name, np.zeros((4, 4), np.uint8))


def test_each_channel_in_a_folder_of_images_is_one(tmp_path):
    data = tmp_path / "data"
    write_sections(data / "em", *[f"z{z}_c{c}.png" for z in range(3) for c in range(2)])
    write_sections(data / "mm", *[f"img_00_{c}_{z}.tif" for z in range(3) for c in ("Cy5", "GFP")])
    write_sections(data / "two", *[f"{z}.{end}" for z in range(3) for end in ("png", "tif")])
    found = look(data)
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert {channel.name: os.path.relpath(channel.path, data) for channel in dataset.channels} == {
        "em-c0": "em#c=0",
        "em-c1": "em#c=1",
        "mm-cCy5": "mm#c=Cy5",
        "mm-cGFP": "mm#c=GFP",
        "two-fpng": "two#f=png",
        "two-ftif": "two#f=tif",
    }
    assert found.skipped == []


def test_a_doubt_about_the_images_of_a_stack_is_listed(tmp_path):
    data = tmp_path / "data"
    write_sections(data / "tiles", *[f"zoom{m}_{z}.png" for m in range(2) for z in range(3)])
    write_sections(data / "small", "0.png", "1.png", "1_thumb.png")
    found = look(data)
    assert shown(found) == {"data": ["small", "tiles"]}
    assert skipped(found, data) == {
        "tiles": "its names count zoom of 2 and a word or number of 3; all are sections of one "
        "stack, in the order of their names",
        "small/1_thumb.png": "a thumbnail beside sections",
    }
