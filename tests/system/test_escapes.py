"""Ways out of the allowed folders, each as a channel of a running server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import mrcfile
import nibabel
import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr

from bfly.errors import NotAllowed, SourceChanged
from bfly.geometry import BoundingBox
from bfly.sources.shared import link_guard as guard
from bfly.sources.shared import tensorstore as tensors
from bfly.storage.files import Files
from bfly.tables.reading import batches
from bfly.tables.table_source import sources_of
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

SHAPE = (4, 8, 8)

WORD = b"SECRET!!"

VOXELS = np.frombuffer(WORD * 32, "u1").reshape(SHAPE)
"""What is in each volume outside: whatever is answered of it has the word in it."""

CALM = np.ones(SHAPE, "u1")

WHOLE = (slice(None),) * 3

NIL = "0/0/0"

Out = h5py.ExternalLink


class Ground:
    """The folders of a test: `inside` is allowed, `outside` and `beside` are not."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.inside, self.outside = top / "allowed", top / "secret"
        self.beside, self.cwd = top / "allowed-x", top / "cwd"
        for folder in (self.inside, self.outside, self.beside, self.cwd):
            folder.mkdir()
            make_all(folder, CALM if folder == self.inside else VOXELS)
        self.url = ""

    def link(self, name: str, target: Path | str) -> str:
        (self.inside / name).symlink_to(target)
        return str(self.inside / name)

    def near(self, name: str, target: str) -> str:
        """Make a link to something outside, and return its name."""
        return os.path.basename(self.link(name, self.outside / target))

    def instead(self, volume: str, part: str) -> str:
        """Copy an allowed volume, with a link to a part of the one outside."""
        path = self.inside / f"{len(os.listdir(self.inside))}-{volume}"
        shutil.copytree(self.inside / volume, path)
        place = path / part
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()
        place.symlink_to(self.outside / volume / part)
        return str(path)

    def text(self, name: str, text: Any) -> str:
        path = self.inside / name
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(path)

    def rewritten(self, volume: str, document: str, change: Callable[[Any], None]) -> str:
        """Copy an allowed volume, with another document."""
        path = self.inside / f"{len(os.listdir(self.inside))}-{volume}"
        shutil.copytree(self.inside / volume, path)
        found = json.loads((path / document).read_text())
        change(found)
        (path / document).write_text(json.dumps(found))
        return str(path)

    def hdf5(self, name: str, **made: Any) -> str:
        path = self.inside / name
        with h5py.File(path, "w") as file:
            for key, value in made.items():
                if isinstance(value, list):
                    file.create_dataset(key, SHAPE, "u1", external=value)
                elif isinstance(value, tuple):
                    layout = h5py.VirtualLayout(SHAPE, "u1")
                    layout[WHOLE] = h5py.VirtualSource(*value, SHAPE)
                    file.create_virtual_dataset(key, layout)
                else:
                    file[key] = value
        return str(path)


def make_all(folder: Path, voxels: Any) -> None:
    """Write the voxels in every format."""
    np.save(folder / "v.npy", voxels)
    with h5py.File(folder / "v.h5", "w") as file:
        file["main"] = voxels
        file["group/main"] = voxels
    (folder / "v.raw").write_bytes(voxels.tobytes())
    tifffile.imwrite(folder / "v.tif", voxels, photometric="minisblack")
    with mrcfile.new(folder / "v.mrc", overwrite=True) as file:
        file.set_data(voxels.astype("u2"))
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), folder / "v.nii")
    (folder / "v.nrrd").write_bytes(nrrd("v.raw").encode())
    stack = folder / "stack"
    mojo = folder / "mojo" / "tiles" / "w=00000000"
    stack.mkdir()
    for z, section in enumerate(voxels):
        (stack / f"{z}.png").write_bytes(imagecodecs.png_encode(section, level=0))
        (mojo / f"z={z:08d}").mkdir(parents=True)
        shutil.copy(stack / f"{z}.png", mojo / f"z={z:08d}" / "y=00000000,x=00000000.png")
    (folder / "mojo" / "tiledVolumeDescription.xml").write_text(
        '<?xml version="1.0"?><tiledVolumeDescription fileExtension="png" numBytesPerVoxel="1" '
        'numTilesW="1" numVoxelsX="8" numVoxelsY="8" numVoxelsZ="4" numVoxelsPerTileX="8" '
        'numVoxelsPerTileY="8" numVoxelsPerTileZ="1"/>'
    )
    for version in (2, 3):
        array = zarr.create_array(
            folder / f"zarr{version}", shape=SHAPE, chunks=SHAPE, dtype="u1", fill_value=0,
            zarr_format=version, compressors=None,
        )  # fmt: skip
        array[:] = voxels
    sharded = zarr.create_array(
        folder / "sharded",
        shape=SHAPE,
        chunks=(2, 4, 4),
        shards=SHAPE,
        dtype="u1",
        compressors=None,
    )
    sharded[:] = voxels
    group = zarr.create_group(folder / "ome", zarr_format=2)
    group.create_array("0", shape=SHAPE, chunks=SHAPE, dtype="u1", compressors=None)[:] = voxels
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}], "version": "0.4"}]
    n5 = {"driver": "n5", "kvstore": f"file://{folder}/n5/s0/"}
    metadata = {"dimensions": SHAPE[::-1], "blockSize": SHAPE[::-1], "dataType": "uint8"}
    metadata["compression"] = {"type": "raw"}
    ts.open({**n5, "metadata": metadata}, create=True).result().write(voxels.T).result()
    for name, sharding in (("pre", None), ("preshards", SHARDING)):
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": f"file://{folder}/{name}/",
            "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
            "scale_metadata": {
                **{"size": SHAPE[::-1], "chunk_size": SHAPE[::-1], "resolution": [1, 1, 1]},
                **{"encoding": "raw", "key": "k", "sharding": sharding},
            },
        }
        ts.open(spec, create=True).result().write(voxels.T[..., np.newaxis]).result()
    with zipfile.ZipFile(folder / "v.zip", "w") as archive:
        for path in (folder / "ome").rglob("*"):
            archive.write(path, path.relative_to(folder / "ome"))
    (folder / "table.csv").write_text(f"id,pre,post,z,y,x\n1,2,3,0,0,{len(WORD)}\n")


SHARDING = {
    **{"@type": "neuroglancer_uint64_sharded_v1", "hash": "identity", "preshift_bits": 0},
    **{"minishard_bits": 0, "shard_bits": 0, "data_encoding": "raw"},
}


def nrrd(data: str, skip: int = 0) -> str:
    return (
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 8 8 4\nencoding: raw\n"
        f"byte skip: {skip}\ndata file: {data}\n"
    )


def boss(location: str, **words: Any) -> dict[str, Any]:
    axes = dict(zip("zyx", SHAPE, strict=True))
    job = {"extent": {a: [0, n] for a, n in axes.items()}, "tile_size": {**axes, "z": 1}}
    tiles = [{"location": location, "z": 0, **(words or {"row": 0, "column": 0})}]
    return {"ingest_job": job, "tiles": tiles}


def tile(image: str, mask: str | None = None) -> list[dict[str, Any]]:
    files = {"imageUrl": image, **({"maskUrl": mask} if mask else {})}
    transform = {"className": "TranslationModel2D", "dataString": "0 0"}
    words = {"z": 0, "width": 8, "height": 8, "transforms": [transform]}
    return [{**words, "mipmapLevels": {"0": files}}]


def ome(path: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["multiscales"][0]["datasets"][0]["path"] = path

    return change


def key(text: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["scales"][0]["key"] = text

    return change


def printf(ground: Ground) -> str:
    ground.link("pat0.h5", ground.outside / "v.h5")
    vspace = h5py.h5s.create_simple(SHAPE, (h5py.h5s.UNLIMITED, 8, 8))
    unlimited = h5py.h5s.UNLIMITED
    vspace.select_hyperslab((0, 0, 0), (unlimited, 1, 1), (4, 1, 1), (4, 8, 8))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(vspace, b"pat%b.h5", b"main", h5py.h5s.create_simple(SHAPE))
    path = ground.inside / "printf.h5"
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(SHAPE, (unlimited, 8, 8))
        h5py.h5d.create(file.id, b"main", h5py.h5t.NATIVE_UINT8, space, plist)
    return str(path)


def through_a_link(ground: Ground) -> str:
    """By letters the key stays in the folder; the system goes on from where the link leads."""
    (ground.inside / "deep" / "er").mkdir(parents=True)
    path = ground.rewritten("pre", "info", key("a/../../../secret/pre/k"))
    os.symlink(ground.inside / "deep" / "er", f"{path}/a")
    return path


def mojo_hdf5(ground: Ground) -> str:
    path = ground.inside / "mojo5"
    shutil.copytree(ground.inside / "mojo", path)
    xml = path / "tiledVolumeDescription.xml"
    xml.write_text(xml.read_text().replace('"png"', '"h5"'))
    with h5py.File(path / "tiles/w=00000000/z=00000000/y=00000000,x=00000000.h5", "w") as file:
        file["main"] = h5py.ExternalLink(str(ground.outside / "v.h5"), "main")
    return str(path)


def archive_with(ground: Ground, name: str, text: str, link: bool = False) -> str:
    """Write an archive with one more entry."""
    path = ground.inside / f"{len(os.listdir(ground.inside))}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (ground.inside / "ome").rglob("*"):
            relative = str(file.relative_to(ground.inside / "ome"))
            if relative != name and file.is_file():
                archive.write(file, relative)
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o120777 if link else 0o100666) << 16
        archive.writestr(info, text)
    return str(path)


def ome_in_archive(ground: Ground, path: str) -> str:
    document = json.loads((ground.inside / "ome" / ".zattrs").read_text())
    ome(path)(document)
    return archive_with(ground, ".zattrs", json.dumps(document))


def at_url(ground: Ground, volume: str, document: str, change: Callable[[Any], None]) -> str:
    return f"{ground.url}/allowed/{os.path.basename(ground.rewritten(volume, document, change))}"


ESCAPES: dict[str, Callable[[Ground], str]] = {
    # A file, by its path
    "a path": lambda g: str(g.outside / "v.npy"),
    "a path upwards": lambda g: f"{g.inside}/../secret/v.npy",
    "a folder that begins alike": lambda g: str(g.beside / "v.npy"),
    "npy: a link": lambda g: g.link("l.npy", g.outside / "v.npy"),
    "npy: a relative link": lambda g: g.link("r.npy", "../secret/v.npy"),
    "npy: links to links": lambda g: g.link("ll.npy", g.link("l1.npy", g.outside / "v.npy")),
    "npy: /proc/self/root": lambda g: f"/proc/self/root{g.outside}/v.npy",
    "npy: a link to /proc/self/root": lambda g: (
        f"{g.link('root', '/proc/self/root')}{g.outside}/v.npy"
    ),
    "npy: a link to /proc/self/cwd": lambda g: f"{g.link('cwd', '/proc/self/cwd')}/v.npy",
    "npy: a link to /dev/fd/0": lambda g: g.link("fd.npy", "/dev/fd/0"),
    "tiff: a link": lambda g: g.link("l.tif", g.outside / "v.tif"),
    "mrc: a link": lambda g: g.link("l.mrc", g.outside / "v.mrc"),
    "nifti: a link": lambda g: g.link("l.nii", g.outside / "v.nii"),
    "hdf5: a link": lambda g: g.link("l.h5", g.outside / "v.h5"),
    # NRRD
    "nrrd: a file": lambda g: g.text("a.nhdr", nrrd(f"{g.outside}/v.raw")),
    "nrrd: a file upwards": lambda g: g.text("b.nhdr", nrrd("../secret/v.raw")),
    "nrrd: a file counted from its end": lambda g: g.text("c.nhdr", nrrd("../secret/v.raw", -1)),
    "nrrd: a link": lambda g: g.text("d.nhdr", nrrd(g.near("n.raw", "v.raw"))),
    "nrrd: the environment": lambda g: g.text("e.nhdr", nrrd("/proc/self/environ")),
    # HDF5
    "pointer: a file": lambda g: g.text("a.json", {"filename": f"{g.outside}/v.h5"}),
    "pointer: a file upwards": lambda g: g.text("b.json", {"filename": "../secret/v.h5"}),
    "pointer: upwards behind a link": lambda g: g.text(
        "e.json", {"filename": f"{g.near('up', 'pre')}/../v.h5"}
    ),
    "pointer: a file in the working folder": lambda g: g.text("c.json", {"filename": "only.h5"}),
    "pointer: NUL": lambda g: g.text("d.json", {"filename": f"v.h5\0/../{g.outside}/v.h5"}),
    "link: a file": lambda g: g.hdf5("l1.h5", main=Out(f"{g.outside}/v.h5", "main")),
    "link: a file upwards": lambda g: g.hdf5("l2.h5", main=Out("../secret/v.h5", "main")),
    "link: a group": lambda g: g.hdf5(
        "l3.h5", g=Out("../secret/v.h5", "group"), main=h5py.SoftLink("g/main")
    ),
    "link: the working folder": lambda g: g.hdf5("l4.h5", main=Out("only.h5", "main")),
    "link: a link": lambda g: g.hdf5("l5.h5", main=Out(g.near("x5.h5", "v.h5"), "main")),
    "virtual: a file": lambda g: g.hdf5("v1.h5", main=(f"{g.outside}/v.h5", "main")),
    "virtual: a file upwards": lambda g: g.hdf5("v2.h5", main=("../secret/v.h5", "main")),
    "virtual: the working folder": lambda g: g.hdf5("v3.h5", main=("only.h5", "main")),
    "virtual: itself, external": lambda g: g.hdf5(
        "v4.h5", raw=[(f"{g.outside}/v.raw", 0, 256)], main=(".", "raw")
    ),
    "virtual: virtual": lambda g: g.hdf5(
        "v5.h5", main=(g.hdf5("v6.h5", a=(f"{g.outside}/v.h5", "main")), "a")
    ),
    "virtual: a link": lambda g: g.hdf5(
        "v7.h5", main=(g.hdf5("v8.h5", a=Out(f"{g.outside}/v.h5", "main")), "a")
    ),
    "virtual: itself, a link": lambda g: g.hdf5(
        "v9.h5", a=Out(f"{g.outside}/v.h5", "main"), main=(".", "a")
    ),
    "virtual: by number": printf,
    "external: a file": lambda g: g.hdf5("e1.h5", main=[(f"{g.outside}/v.raw", 0, 256)]),
    "external: a file upwards": lambda g: g.hdf5("e2.h5", main=[("../secret/v.raw", 0, 256)]),
    "external: the working folder": lambda g: g.hdf5("e3.h5", main=[("only.raw", 0, 256)]),
    "external: a link": lambda g: g.hdf5("e4.h5", main=[(g.near("y.raw", "v.raw"), 0, 256)]),
    # Tiles
    "stack: a folder": lambda g: g.link("ls", g.outside / "stack"),
    "stack: a section": lambda g: g.instead("stack", "0.png"),
    "mojo: a tile": lambda g: g.instead(
        "mojo", "tiles/w=00000000/z=00000000/y=00000000,x=00000000.png"
    ),
    "mojo: a section": lambda g: g.instead("mojo", "tiles/w=00000000/z=00000000"),
    "mojo: all tiles": lambda g: g.instead("mojo", "tiles"),
    "mojo: its description": lambda g: g.instead("mojo", "tiledVolumeDescription.xml"),
    "mojo: a link in a tile": mojo_hdf5,
    "boss: a file": lambda g: g.text("f.json", boss(f"{g.outside}/stack/0.png")),
    "boss: a file upwards": lambda g: g.text("g.json", boss("../secret/stack/0.png")),
    "boss: a file by its column": lambda g: g.text(
        "h.json", boss("../secret/stack/{row}.png?{column}/../0.png")
    ),
    "boss: a link": lambda g: g.text("i.json", boss(g.near("t.png", "stack/0.png"))),
    "tilespec: a file": lambda g: g.text("j.json", tile(f"{g.outside}/stack/0.png")),
    "tilespec: a URL": lambda g: g.text("k.json", tile(f"file://{g.outside}/stack/0.png")),
    "tilespec: an escaped URL": lambda g: g.text(
        "l.json", tile(f"file://{g.inside}/%2e%2e/secret/stack/0.png")
    ),
    "tilespec: a mask": lambda g: g.text("m.json", tile("stack/0.png", "../secret/stack/0.png")),
    # Chunks
    "zarr: a chunk": lambda g: g.instead("zarr3", "c/0/0/0"),
    "zarr: a folder of chunks": lambda g: g.instead("zarr3", "c/0"),
    "zarr: all chunks": lambda g: g.instead("zarr3", "c"),
    "zarr: metadata": lambda g: g.instead("zarr3", "zarr.json"),
    "zarr 2: a chunk": lambda g: g.instead("zarr2", "0.0.0"),
    "zarr 2: metadata": lambda g: g.instead("zarr2", ".zarray"),
    "zarr: a shard": lambda g: g.instead("sharded", "c/0/0/0"),
    "ome: upwards": lambda g: g.rewritten("ome", ".zattrs", ome("../../secret/ome/0")),
    "ome: a path": lambda g: g.rewritten("ome", ".zattrs", ome(f"{g.outside}/ome/0")),
    "ome: upwards behind a part": lambda g: g.rewritten(
        "ome", ".zattrs", ome("0/../../../secret/ome/0")
    ),
    "ome: an array": lambda g: g.instead("ome", "0"),
    "n5: a block": lambda g: g.instead("n5", f"s0/{NIL}"),
    "n5: a scale": lambda g: g.instead("n5", "s0"),
    "precomputed: a chunk": lambda g: g.instead("pre", "k/0-8_0-8_0-4"),
    "precomputed: a scale": lambda g: g.instead("pre", "k"),
    "precomputed: the info": lambda g: g.instead("pre", "info"),
    "precomputed: a shard": lambda g: g.instead("preshards", "k/0.shard"),
    "precomputed: shards": lambda g: g.instead("preshards", "k"),
    "precomputed: upwards": lambda g: g.rewritten("pre", "info", key("../../secret/pre/k")),
    "precomputed: a path": lambda g: g.rewritten("pre", "info", key(f"{g.outside}/pre/k")),
    "precomputed: upwards behind a link": through_a_link,
    "precomputed: escaped": lambda g: g.rewritten("pre", "info", key("%2e%2e/%2e%2e/secret/pre/k")),
    "precomputed: backslashes": lambda g: g.rewritten("pre", "info", key("..\\..\\secret\\pre\\k")),
    "zip: a link": lambda g: g.link("l.zip", g.outside / "v.zip"),
    "zip: a name upwards": lambda g: ome_in_archive(g, "../secret/ome/0"),
    "zip: a path": lambda g: ome_in_archive(g, f"{g.outside}/ome/0"),
    "zip: an entry that is a link": lambda g: archive_with(
        g, "0/0.0.0", f"{g.outside}/ome/0/0.0.0", link=True
    ),
    # URLs
    "URL: another": lambda g: f"{g.url}/secret/pre",
    "URL: one that begins alike": lambda g: f"{g.url}/allowed-x/pre",
    "URL: upwards": lambda g: f"{g.url}/allowed/../secret/pre",
    "URL: escaped": lambda g: f"{g.url}/allowed/%2e%2e/secret/pre",
    "URL: a key upwards": lambda g: at_url(g, "pre", "info", key("../../secret/pre/k")),
    "URL: an escaped key": lambda g: at_url(g, "pre", "info", key("%2e%2e/%2e%2e/secret/pre/k")),
    "URL: a key that is a URL": lambda g: at_url(g, "pre", "info", key(f"{g.url}/secret/pre/k")),
    "URL: a key with a host": lambda g: at_url(g, "pre", "info", key("//127.0.0.1/secret/pre/k")),
    "URL: an array upwards": lambda g: at_url(g, "ome", ".zattrs", ome("../../secret/ome/0")),
    "URL: an escaped array": lambda g: at_url(g, "ome", ".zattrs", ome("..%2f../secret/ome/0")),
}

WELL = ("v.npy", "v.h5", "v.tif", "v.nii", "v.nrrd", "stack", "mojo", "zarr2", "zarr3", "sharded")
WELL += ("ome", "n5", "pre", "preshards", "v.zip")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    np.save(ground.cwd / "only.npy", VOXELS)
    shutil.copy(ground.cwd / "v.h5", ground.cwd / "only.h5")
    shutil.copy(ground.cwd / "v.raw", ground.cwd / "only.raw")
    handler = functools.partial(Quiet, directory=str(ground.top))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ground.url = f"http://127.0.0.1:{server.server_port}"
    yield ground
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def client(
    ground: Ground, serve: Callable[..., Any], make_tree: Callable[..., Any]
) -> Iterator[httpx.Client]:
    channels = [{"name": f"e{i}", "path": make(ground)} for i, make in enumerate(ESCAPES.values())]
    channels += [{"name": name, "path": str(ground.inside / name)} for name in WELL]
    channels.append({"name": "url", "path": f"{ground.url}/allowed/pre"})
    allowed = [str(ground.inside), f"{ground.url}/allowed"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ground.cwd)
        with serve(make_tree(*channels, **{"allowed-paths": allowed})) as client:
            yield client


def ask(client: httpx.Client, channel: str) -> httpx.Response:
    box = {"x": 0, "y": 0, "z": 0, "width": 8, "height": 8, "depth": 4, "format": "raw"}
    words = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": channel}
    return client.get("/api/data", params={**words, **box})


@pytest.mark.parametrize("name", [*WELL, "url"])
def test_what_is_allowed_is_served(client: httpx.Client, name: str) -> None:
    """So that the escapes below are refused for what they are."""
    answer = ask(client, name)
    assert answer.status_code == 200, answer.text
    assert answer.content == CALM.tobytes()


@pytest.mark.parametrize("way", ESCAPES)
def test_no_way_leads_out(client: httpx.Client, way: str) -> None:
    answer = ask(client, f"e{[*ESCAPES].index(way)}")
    assert WORD not in answer.content
    if way == "zip: an entry that is a link":
        # Its voxels are the text of the link, of which there are too few, or that text itself.
        assert answer.status_code in (200, 503)
        return
    assert answer.status_code in (403, 503), answer.text


def test_there_are_many_ways() -> None:
    assert len(ESCAPES) >= 50


@pytest.mark.parametrize("how", ["path", "link", "named"])
def test_no_table_is_read_from_elsewhere(ground: Ground, tmp_path: Path, how: str) -> None:
    path = {
        "path": f"{ground.inside}/../secret/table.csv",
        "link": str(tmp_path / "link.csv"),
        "named": str(ground.outside / "table.csv"),
    }[how]
    (tmp_path / "link.csv").symlink_to(ground.outside / "table.csv")
    files = Files([str(ground.inside), str(tmp_path)])
    dataset = {"path": str(ground.inside), "synapses": {"path": path}}
    source, _ = sources_of(dataset, files)
    assert source is not None
    with pytest.raises(NotAllowed, match="not in allowed-paths"):
        next(batches(source, files))


CHUNKED = ("zarr2", "zarr3", "sharded", "ome", "n5", "pre", "preshards", "v.zip")


@pytest.mark.parametrize("name", CHUNKED)
def test_in_folders_that_change_all_the_time_the_same_is_read(
    ground: Ground, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorStore is then given what was read here."""
    monkeypatch.setattr(guard, "TICK", 10**18)
    files = Files([str(ground.inside)])
    source = Volume.open(ChannelSpec(str(ground.inside / name)), files).source
    box = source.scales[0].box
    np.testing.assert_array_equal(source.read(0, box), CALM)
    part = BoundingBox((1, 2, 3), (3, 7, 8))
    np.testing.assert_array_equal(source.read(0, part), CALM[part.slices])
    if name != "v.zip":
        monkeypatch.setattr(tensors, "COPIED", 100)
        with pytest.raises(SourceChanged, match="in a folder that changes while it is read"):
            source.read(0, box)
