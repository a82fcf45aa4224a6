"""Chunks that are there, but not under the names that the metadata state: read or refused."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts
import zarr

from bfly.doctor.examine import examine
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.n5.source import N5
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.shared import sample
from bfly.sources.zarr.source import Zarr
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bfly.sources.source import Datasource

VOLUME = random_volume((6, 20, 24), "uint8")

ONE = BoundingBox.of_shape((1, 1, 1))


def write_zarr(path: Path, *, zarr_format: int = 2, volume: Any = VOLUME, **options: Any) -> Path:
    options = {"chunks": (3, 10, 8), **options}
    zarr.create_array(str(path), data=volume, zarr_format=zarr_format, **options)
    return path


def keyed(name: str, separator: str) -> dict[str, Any]:
    return {"chunk_key_encoding": {"name": name, "separator": separator}}


def write_n5(path: Path) -> Path:
    spec = {
        "driver": "n5",
        "kvstore": f"file://{path}/",
        "metadata": {
            **{"dimensions": [24, 20, 6], "blockSize": [8, 10, 3], "dataType": "uint8"},
            "compression": {"type": "gzip"},
        },
    }
    ts.open(spec, create=True).result().write(VOLUME.T).result()
    return path


SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    **{"preshift_bits": 0, "minishard_bits": 0, "shard_bits": 5, "hash": "murmurhash3_x86_128"},
}


def write_precomputed(path: Path, *, scales: int = 1, **scale: Any) -> Path:
    """Write a volume of up to two scales."""
    for number in range(scales):
        volume = VOLUME[:, :: 1 << number, :: 1 << number]
        size = 4 << number
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": f"file://{path}/",
            "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
            "scale_metadata": {
                **{"size": volume.shape[::-1], "encoding": "raw", "chunk_size": [8, 10, 3]},
                **{"resolution": [size, size, 30], "key": f"s{number}", **scale},
            },
        }
        made = ts.open(spec, create=True).result()
        made[ts.d["channel"][0]].write(volume.T).result()
    return path


def change(path: Path, *keys: Any, drop: bool = False, **values: Any) -> None:
    """Change an object in a JSON document."""
    document = json.loads(path.read_text())
    inner = document
    for key in keys:
        inner = inner[key]
    inner.update(values)
    for key in values if drop else ():
        del inner[key]
    path.write_text(json.dumps(document))


def move(top: Path, renamed: Callable[[str], str], *, every: int = 1) -> None:
    """Give each chunk file below a folder, or each n-th, another name below it."""
    documents = ("zarr.json", ".zarray", ".zattrs", "attributes.json", "info")
    files = sorted(p for p in top.rglob("*") if p.is_file() and p.name not in documents)
    moved = [(file, file.relative_to(top).as_posix()) for file in files[::every]]
    for file, _ in moved:
        file.rename(top / f"moving-{file.relative_to(top).as_posix().replace('/', '|')}")
    for folder in [p for p in top.iterdir() if p.is_dir() and every == 1]:
        shutil.rmtree(folder)
    for _, name in moved:
        target = top / renamed(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        (top / f"moving-{name.replace('/', '|')}").rename(target)


def flat(name: str) -> str:
    return name.replace("/", ".")


def nested(name: str) -> str:
    return name.replace(".", "/")


def assert_read(source: Datasource, volume: NDArray[Any] = VOLUME) -> None:
    assert np.array_equal(source.read(0, source.scales[0].box), volume)


@pytest.mark.parametrize("state", ["absent", "misspelt", "absent in a group"])
def test_nested_chunks_of_zarr_2_without_a_separator_are_read(tmp_path: Path, state: str) -> None:
    path = tmp_path / "a.zarr"
    array = path / "0" if "group" in state else path
    if "group" in state:
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        group.attrs["multiscales"] = [{"datasets": [{"path": "0"}], "version": "0.1"}]
    write_zarr(array, **keyed("v2", "/"))
    change(array / ".zarray", dimension_separator="/", drop=True)
    if state == "misspelt":
        change(array / ".zarray", dimension_seperator="/")
    source = Zarr.open(str(path))
    assert_read(source)
    # A chunk that is sent as stored is found as well.
    assert source.read_encoded(0, (1, 1, 2), source.stored_as(0)[0]) is not None
    assert source.changed() is None
    archive = shutil.make_archive(str(tmp_path / "b.zarr"), "zip", path)
    assert_read(Zarr.open(archive))


def test_flat_chunks_of_zarr_2_without_a_separator_are_read(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr")
    change(path / ".zarray", dimension_separator=".", drop=True)
    assert_read(Zarr.open(str(path)))


ZARR_3 = {"zarr_format": 3}

MISNAMED: dict[str, tuple[Any, dict[str, Any], Callable[[str], str]]] = {
    "zarr 2, said flat": (write_zarr, {}, nested),
    "zarr 2, said nested": (write_zarr, keyed("v2", "/"), flat),
    "zarr 2, other separator": (write_zarr, {}, lambda name: name.replace(".", "_")),
    "zarr 2, packed": (write_zarr, {}, lambda name: f"{name}.gz"),
    "zarr 2, of another rank": (write_zarr, {}, lambda name: f"0.{name}"),
    "zarr 2, outside the grid": (write_zarr, {}, lambda name: f"1{name}"),
    "zarr 3, without c": (write_zarr, ZARR_3, lambda name: name.removeprefix("c/")),
    "zarr 3, said nested": (write_zarr, ZARR_3, flat),
    "zarr 3, said flat": (write_zarr, {**ZARR_3, **keyed("default", ".")}, nested),
    "zarr 3, said as in 2": (write_zarr, {**ZARR_3, **keyed("v2", ".")}, lambda n: f"c/{n}"),
    "zarr 3, shards": (write_zarr, {**ZARR_3, "shards": (6, 20, 24)}, flat),
    "N5, flat": (lambda path: write_n5(path), {}, flat),
    "N5, as zarr 3": (lambda path: write_n5(path), {}, lambda name: f"c/{name}"),
}


@pytest.mark.parametrize("how", ["folder", "archive"])
@pytest.mark.parametrize("name", MISNAMED)
def test_chunks_with_other_names_than_stated_are_refused(
    tmp_path: Path, name: str, how: str
) -> None:
    """The message has the name that is there and the one that is expected."""
    make, options, renamed = MISNAMED[name]
    path = make(tmp_path / "a", **options)
    source = N5 if name.startswith("N5") else Zarr
    first = next(iter(source.open(str(path))._described[0].names(ONE)))
    move(path, renamed)
    if how == "archive":
        path = shutil.make_archive(str(tmp_path / "b"), "zip", path)
    with pytest.raises(SourceError, match=r"/(a|b\.zip).*is there") as error:
        source.open(str(path))
    assert first in str(error.value)
    assert renamed(first) in str(error.value)


@pytest.mark.parametrize("name", ["zarr 2, said flat", "zarr 2, packed", "zarr 3, without c"])
def test_a_part_of_the_chunks_with_other_names_is_refused(tmp_path: Path, name: str) -> None:
    make, options, renamed = MISNAMED[name]
    path = make(tmp_path / "a", **options)
    move(path, renamed, every=5)
    with pytest.raises(SourceError, match=r"is missing, .* is there"):
        Zarr.open(str(path))


def test_zarr_2_without_a_separator_in_both_layouts_is_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a")
    change(path / ".zarray", dimension_separator=".", drop=True)
    move(path, nested, every=3)
    with pytest.raises(SourceError, match=r"0\.0\.0 is missing, 0/0/0 is there"):
        Zarr.open(str(path))


@pytest.mark.parametrize(
    ("what", "values"),
    [("other chunks", {"chunk_sizes": [[4, 5, 3]]}), ("moved", {"voxel_offset": [1, 0, 0]})],
)
def test_an_info_that_does_not_fit_the_chunks_is_refused(
    tmp_path: Path, what: str, values: dict[str, Any]
) -> None:
    path = write_precomputed(tmp_path / "a")
    change(path / "info", "scales", 0, **values)
    with pytest.raises(SourceError, match=r"a: s0/\S+ is there, but no file .* such as s0/"):
        Precomputed.open(str(path))


@pytest.mark.parametrize("renamed", ["s0.0", "4_4_30", "deep/s0"])
def test_a_scale_in_a_folder_of_another_name_is_refused(tmp_path: Path, renamed: str) -> None:
    path = write_precomputed(tmp_path / "a")
    (path / renamed).parent.mkdir(exist_ok=True)
    (path / "s0").rename(path / renamed)
    with pytest.raises(SourceError, match=rf"no files in s0, .*; {renamed}/\S+ is there"):
        Precomputed.open(str(path))


@pytest.mark.parametrize("renamed", ["0{}", "{}.gz"])
def test_shards_with_other_names_are_refused(tmp_path: Path, renamed: str) -> None:
    path = write_precomputed(tmp_path / "a", sharding=SHARDING)
    assert_read(Precomputed.open(str(path)))
    move(path / "s0", renamed.format)
    with pytest.raises(SourceError, match=r"s0/\S+ is there"):
        Precomputed.open(str(path))


def test_shards_of_an_older_form_are_refused(tmp_path: Path) -> None:
    """An index and data in two files each, which TensorStore does not read."""
    path = write_precomputed(tmp_path / "a", sharding=SHARDING)
    move(path / "s0", lambda name: name.replace(".shard", ".data"))
    with pytest.raises(SourceError, match=r"s0/\S+\.data is there, but no file"):
        Precomputed.open(str(path))


WRITERS: dict[str, tuple[Any, type[Datasource], dict[str, Any]]] = {
    "zarr 2": (write_zarr, Zarr, {}),
    "zarr 2, nested": (write_zarr, Zarr, keyed("v2", "/")),
    "zarr 3": (write_zarr, Zarr, ZARR_3),
    "zarr 3, shards": (write_zarr, Zarr, {**ZARR_3, "shards": (6, 20, 24)}),
    "n5": (lambda path: write_n5(path), N5, {}),
    "precomputed": (write_precomputed, Precomputed, {}),
    "precomputed, shards": (write_precomputed, Precomputed, {"sharding": SHARDING}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_other_files_beside_chunks_are_no_matter(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, source, options = WRITERS[name]
    path = make(tmp_path / "a", **options)
    for folder in (path, path / "s0"):
        for file in ("README", "1.txt", "2020-01-05.log", ".DS_Store", "provenance", "0.0.0.tmp"):
            if folder.exists():
                (folder / file).write_text("no chunk")
    (path / "thumbnails").mkdir()
    (path / "thumbnails" / "0.png").write_text("no chunk")
    assert_read(source.open(str(path)))
    assert not caplog.text


@pytest.mark.parametrize("name", WRITERS)
def test_a_volume_without_chunks_is_fill_and_said(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, and in the report of `bfly doctor`."""
    make, source, options = WRITERS[name]
    path = make(tmp_path / "a", **options)
    for file in [p for p in path.rglob("*") if p.is_file()]:
        if file.name not in ("zarr.json", ".zarray", ".zattrs", "attributes.json", "info"):
            file.unlink()
    assert not source.open(str(path)).read(0, ONE).any()
    assert f"{path} has no chunks" in caplog.text
    examined = examine("a", str(path), "", lambda: Volume.open(ChannelSpec(str(path))))
    assert any("has no chunks" in finding.message for finding in examined.findings)


@pytest.mark.parametrize("name", WRITERS)
def test_the_first_chunk_of_a_volume_is_noticed(tmp_path: Path, name: str) -> None:
    """While it is served, under whatever name it comes."""
    make, source, options = WRITERS[name]
    path, other = make(tmp_path / "a", **options), tmp_path / "b"
    shutil.copytree(path, other)
    for entry in path.iterdir():
        if entry.name not in ("zarr.json", ".zarray", ".zattrs", "attributes.json", "info"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    opened = source.open(str(path))
    assert not opened.read(0, opened.scales[0].box).any()
    assert opened.changed() is None
    shutil.copytree(other, path, dirs_exist_ok=True)
    assert opened.changed() is not None
    assert_read(source.open(str(path)))


def test_chunks_outside_the_grid_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They remain when an array shrinks, and are no reason not to serve the others."""
    path = write_zarr(tmp_path / "a")
    shutil.copy(path / "0.0.0", path / "7.0.0")
    assert_read(Zarr.open(str(path)))
    assert "7.0.0 is not read" in caplog.text


def test_a_coarser_level_without_chunks_is_computed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder may be missing too: CloudVolume lists all scales before it writes them."""
    path = write_precomputed(tmp_path / "a", scales=2)
    assert Precomputed.open(str(path)).scales.keys() == {0, 1}
    shutil.rmtree(path / "s1")
    source = Precomputed.open(str(path))
    assert source.scales.keys() == {0}
    assert "the level s1 has no chunks" in caplog.text
    assert_read(source)


def test_a_finest_level_without_chunks_is_refused(tmp_path: Path) -> None:
    path = write_precomputed(tmp_path / "a", scales=2)
    shutil.rmtree(path / "s0")
    with pytest.raises(SourceError, match=r"a has no chunks of its finest level, s0, but of s1"):
        Precomputed.open(str(path))


def test_few_folders_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: on a network file system each of them takes time."""
    volume = random_volume((2, 300, 8), "uint8")
    path = write_zarr(tmp_path / "a", volume=volume, chunks=(1, 1, 8), **keyed("v2", "/"))
    listed = []
    scandir = sample.os.scandir
    monkeypatch.setattr(sample.os, "scandir", lambda fd: listed.append(fd) or scandir(fd))
    source = Zarr.open(str(path))
    assert len(listed) <= sample.FOLDERS
    assert_read(source, volume)
    listed.clear()
    assert_read(source, volume)
    assert not listed
