"""HDF5: layouts, filters, dtypes, pointers, damage, and reading outside the library's lock."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Any, ClassVar

import h5py
import numpy as np
import pytest

from bfly.errors import MissingLibrary, NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.hdf5.source import HDF5
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.sources.storing import StoringTests

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ALL = (
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


class _Suite(SourceSuite):
    source = HDF5
    dtypes = ALL
    shape = (20, 40, 33)
    options: ClassVar[dict[str, Any]]

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        path = folder / "volume.h5"
        options = dict(self.options)
        if "chunks" in options:
            options["chunks"] = tuple(map(min, options["chunks"], volume.shape))
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=volume, **options)
        return path


class TestContiguous(_Suite):
    options: ClassVar[dict[str, Any]] = {}


class TestGzip(_Suite):
    options: ClassVar[dict[str, Any]] = {
        "chunks": (8, 16, 16),
        "compression": "gzip",
        "shuffle": True,
        "fletcher32": True,
    }


class TestLzf(_Suite):
    options: ClassVar[dict[str, Any]] = {"chunks": (16, 16, 16), "compression": "lzf"}


class TestStreams(StoringTests):
    """Gzip alone, of which a chunk is a stream of zlib."""

    source = HDF5
    dtypes = ("uint32",)
    shape = (20, 40, 33)
    given_as = frozenset({StoredAs("raw", "deflate")})

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        path = folder / "volume.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=volume, chunks=(8, 16, 16), compression="gzip")
        return path


class TestPointer(SourceSuite):
    """Two files along z, by a JSON."""

    source = HDF5
    dtypes = ALL
    shape = (9, 40, 33)

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        parts = []
        half = (len(volume) + 1) // 2
        for z, part in ((0, volume[:half]), (half, volume[half:])):
            if len(part):
                with h5py.File(folder / f"z{z}.h5", "w") as file:
                    file.create_dataset("a/b", data=part, chunks=True)
                parts.append({"filename": f"z{z}.h5", "dataset-path": "a/b", "z-offset": z})
        path = folder / "volume.json"
        path.write_text(json.dumps(parts))
        return path

    def voxel_file(self, path: Path) -> Path:
        return path.parent / "z0.h5"


def volume_of(dtype: str, shape: tuple[int, int, int] = (11, 23, 31)) -> np.ndarray:
    return np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)


def write(path: Path, volume: np.ndarray, name: str = "main", **options: Any) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=volume, **options)
    return str(path)


def check(path: str, expected: np.ndarray) -> HDF5:
    source = HDF5.open(path)
    whole = BoundingBox.of_shape(expected.shape)
    part = BoundingBox((1, 2, 3), tuple(n - 1 for n in expected.shape))
    for box in (whole, part):
        found = source.read(0, box)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected[box.slices])
    return source


INTEGERS = ("i1", "<i2", ">i4", "i8", ">u2")

FILTERS: list[dict[str, Any]] = [
    {},
    {"chunks": (4, 8, 16)},
    {"chunks": (4, 8, 16), "compression": "gzip", "shuffle": True},
    {"chunks": (4, 8, 16), "compression": "lzf", "fletcher32": True},
    {"chunks": (4, 8, 16), "fletcher32": True},
    {"chunks": (4, 8, 16), "scaleoffset": 0},
]


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        pytest.param(options, dtype, id=f"options{number}-{dtype}")
        for number, options in enumerate(FILTERS)
        for dtype in (*INTEGERS, ">f4", "?")
        if dtype in INTEGERS or "scaleoffset" not in options
    ],
)
def test_every_width_and_filter(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    volume = volume_of(dtype)
    path = write(tmp_path / "v.h5", volume, **options)
    served = "u1" if dtype == "?" else np.dtype(dtype).newbyteorder("<")
    check(path, volume.astype(served))


@pytest.mark.parametrize("layout", ["compact", "external", "virtual", "userblock", "v4", "early"])
def test_unusual_layouts(tmp_path: Path, layout: str) -> None:
    volume = volume_of("u2", (4, 9, 10))
    path = tmp_path / "v.h5"
    match layout:
        case "compact":
            with h5py.File(path, "w") as file:
                plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                plist.set_layout(h5py.h5d.COMPACT)
                space = h5py.h5s.create_simple(volume.shape)
                made = h5py.h5d.create(file.id, b"main", h5py.h5t.NATIVE_UINT16, space, plist)
                made.write(h5py.h5s.ALL, h5py.h5s.ALL, volume)
        case "external":
            files = [(str(tmp_path / "voxels.raw"), 0, h5py.h5f.UNLIMITED)]
            with h5py.File(path, "w") as file:
                file.create_dataset("main", data=volume, external=files)
        case "virtual":
            write(tmp_path / "real.h5", volume)
            virtual = h5py.VirtualLayout(volume.shape, "u2")
            virtual[:] = h5py.VirtualSource("real.h5", "main", volume.shape)
            with h5py.File(path, "w") as file:
                file.create_virtual_dataset("main", virtual)
        case "userblock":
            with h5py.File(path, "w", userblock_size=1024) as file:
                file.create_dataset("main", data=volume, chunks=(2, 4, 4))
        case "v4":
            with h5py.File(path, "w", libver="latest") as file:
                file.create_dataset("main", data=volume, chunks=(2, 4, 4), compression="gzip")
        case "early":
            with h5py.File(path, "w", libver="earliest") as file:
                file.create_dataset("main", data=volume, chunks=(2, 4, 4), maxshape=(None,) * 3)
    assert HDF5.guess_can_open(str(path))
    check(str(path), volume)


def test_what_was_never_written_is_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        for name, chunks in (("main", (4, 4, 4)), ("plain", None)):
            made = file.create_dataset(name, (8, 8, 8), "u2", chunks=chunks, fillvalue=7)
        file["main"][:4, :4, :4] = 3
        del made
    expected = np.full((8, 8, 8), 7, "u2")
    expected[:4, :4, :4] = 3
    check(str(tmp_path / "v.h5"), expected)
    pointer = tmp_path / "p.json"
    pointer.write_text('{"filename": "v.h5", "dataset-path": "plain"}')
    check(str(pointer), np.full((8, 8, 8), 7, "u2"))


def test_a_chunk_that_skipped_its_filter(tmp_path: Path) -> None:
    volume = volume_of("u1", (4, 8, 8))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        made = file.create_dataset("main", (4, 8, 8), "u1", chunks=(4, 4, 8), compression="gzip")
        made.id.write_direct_chunk((0, 0, 0), volume[:, :4].tobytes(), filter_mask=1)
        made.id.write_direct_chunk((0, 4, 0), zlib.compress(volume[:, 4:].tobytes()))
    check(str(tmp_path / "v.h5"), volume)


def test_filters_of_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hdf5plugin

    volume = volume_of("u2")
    path = write(tmp_path / "v.h5", volume, chunks=(4, 8, 8), compression=hdf5plugin.Zstd())
    check(path, volume)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: number != 32015)
    with pytest.raises(MissingLibrary, match=r"\[32015\].*bfly\[filters\]"):
        HDF5.open(path)


def test_a_file_that_the_program_itself_has_open(tmp_path: Path) -> None:
    volume = volume_of("u1")
    path = write(tmp_path / "v.h5", volume)
    with h5py.File(path, "r"):
        check(path, volume)


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = volume_of("u1")
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "v.h5", volume)
    monkeypatch.chdir(tmp_path)
    check("folder/v.h5", volume)


def test_which_dataset_is_served(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a_table"] = np.zeros((5, 2))
        file["group/stack"] = np.full((2, 3, 4), 5, "u1")
        file["zzz"] = np.full((2, 3, 4), 6, "u1")
    check(str(tmp_path / "v.h5"), np.full((2, 3, 4), 5, "u1"))
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file["main"] = np.full((2, 3, 4), 7, "u1")
    check(str(tmp_path / "v.h5"), np.full((2, 3, 4), 7, "u1"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: f.create_dataset("t", data=np.zeros((3, 2))),
            r"no dataset with three axes.*'t'",
        ),
        (lambda f: f.create_dataset("main", data=np.zeros((3, 2))), r"\(3, 2\).*three axes"),
        (lambda f: f.create_dataset("main", (0, 2, 2), "u1"), r"\(0, 2, 2\)"),
        (
            lambda f: f.create_dataset("main", data=np.zeros((2, 2, 2), "c8")),
            "complex64.*floats of 16",
        ),
        (lambda f: f.create_dataset("main", (2, 2, 2), h5py.string_dtype()), "allowed"),
        (lambda f: f.create_group("main"), "no dataset with three axes"),
    ],
)
def test_files_without_a_volume(tmp_path: Path, make: Any, message: str) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        make(file)
    with pytest.raises(SourceError, match=message):
        HDF5.open(str(tmp_path / "v.h5"))


POINTERS = {
    "no json": ("{", "not JSON"),
    "wrong keys": ('{"file": "v.h5"}', "not a pointer to HDF5"),
    "empty list": ("[]", "not a pointer to HDF5"),
    "text for z": ('{"filename": "v.h5", "z-offset": "3"}', "not a pointer to HDF5"),
    "negative z": ('{"filename": "v.h5", "z-offset": -3}', "not a pointer to HDF5"),
    "no such file": ('{"filename": "w.h5"}', r"w\.h5 cannot be opened"),
    "no such dataset": (
        '{"filename": "v.h5", "dataset-path": "x"}',
        r"no dataset x; it has \['main'\]",
    ),
    "overlap": ('[{"filename": "v.h5"}, {"filename": "v.h5", "z-offset": 1}]', "before the end"),
    "other size": ('[{"filename": "v.h5"}, {"filename": "o.h5"}]', "all must match"),
}


@pytest.mark.parametrize("case", POINTERS)
def test_wrong_pointers(tmp_path: Path, case: str) -> None:
    text, message = POINTERS[case]
    write(tmp_path / "v.h5", np.zeros((2, 2, 2), "u1"))
    write(tmp_path / "o.h5", np.zeros((2, 2, 3), "u1"))
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        HDF5.open(str(path))


def test_files_along_z_with_a_gap(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2), ("c", 3)):
        write(tmp_path / f"{name}.h5", np.full((2, 3, 4), value, "i2"), chunks=(1, 3, 4))
    path = tmp_path / "p.json"
    parts = [
        {"filename": "b.h5", "dataset-path": "main", "z-offset": 5},
        {"filename": "c.h5"},
        {"filename": "a.h5", "z-offset": 0},
    ]
    path.write_text(json.dumps(parts))
    assert HDF5.guess_can_open(str(path))
    expected = np.zeros((9, 3, 4), "i2")
    expected[0:2], expected[5:7], expected[7:9] = 1, 2, 3
    source = check(str(path), expected)
    os.utime(tmp_path / "b.h5", ns=(0, 0))
    assert source.changed() == str(tmp_path / "b.h5")


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"fletcher32": True}])
def test_a_damaged_chunk_is_an_error_and_the_others_are_not(tmp_path: Path, options: Any) -> None:
    volume = volume_of("u2", (4, 16, 16))
    path = write(tmp_path / "v.h5", volume, chunks=(4, 8, 16), **options)
    with h5py.File(path) as file:
        info = file["main"].id.get_chunk_info(0)
    with open(path, "r+b") as raw:
        raw.seek(info.byte_offset + info.size // 2)
        raw.write(b"damage")
    source = HDF5.open(path)
    with pytest.raises(SourceError, match=r"v\.h5: the chunk \(0, 0, 0\) of /main is damaged"):
        source.read(0, BoundingBox.of_shape((1, 1, 1)))
    below = BoundingBox((0, 8, 0), (4, 16, 16))
    assert np.array_equal(source.read(0, below), volume[below.slices])


@pytest.mark.parametrize("options", [{}, {"chunks": (4, 8, 16), "compression": "gzip"}])
def test_a_file_that_is_cut_off_while_open(tmp_path: Path, options: Any) -> None:
    path = write(tmp_path / "v.h5", volume_of("u2", (40, 64, 64)), **options)
    source = HDF5.open(path)
    source.read(0, BoundingBox.of_shape((1, 1, 1)))
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(SourceChanged, match="changed on disk"):
        source.read(0, BoundingBox((39, 0, 0), (40, 64, 64)))
    with pytest.raises(SourceError, match="cannot be opened as HDF5"):
        HDF5.open(path)


def test_no_dataset_leads_out_of_the_allowed_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    volume = np.zeros((2, 2, 2), "u1")
    real = write(outside / "real.h5", volume)
    with h5py.File(inside / "link.h5", "w") as file:
        file["main"] = h5py.ExternalLink(real, "main")
    with h5py.File(inside / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(volume.shape, "u1")
        layout[:] = h5py.VirtualSource(real, "main", volume.shape)
        file.create_virtual_dataset("main", layout)
    with h5py.File(inside / "external.h5", "w") as file:
        file.create_dataset("main", data=volume, external=[(f"{outside}/x.raw", 0, 8)])
    (inside / "pointer.json").write_text('{"filename": "../out/real.h5"}')
    files = Files([str(inside)])
    for name in ("link.h5", "virtual.h5", "external.h5", "pointer.json"):
        with pytest.raises(NotAllowed):
            HDF5.open(str(inside / name), files=files)
        assert HDF5.open(str(inside / name)).scales[0].shape == (2, 2, 2)


def test_chunks_are_read_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = volume_of("u1", (16, 16, 16))
    path = write(tmp_path / "v.h5", volume, chunks=(8, 8, 8), compression="gzip")
    source = HDF5.open(path)
    source.read(0, BoundingBox.of_shape((1, 1, 1)))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("h5py was asked")

    monkeypatch.setattr(h5py, "File", refuse)
    assert np.array_equal(source.read(0, BoundingBox.of_shape((16, 16, 16))), volume)


def test_open_files_are_bounded(tmp_path: Path) -> None:
    files = Files(limit=8)
    sources = []
    for i in range(40):
        path = write(tmp_path / f"{i}.h5", np.full((2, 2, 2), i, "u1"))
        sources.append(HDF5.open(path, files=files))
    before = len(os.listdir("/proc/self/fd"))
    for i, source in enumerate(sources):
        assert source.read(0, BoundingBox.of_shape((1, 1, 1))).item() == i
    assert len(os.listdir("/proc/self/fd")) <= before + 8
    files.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("holder", "attributes", "voxel_size", "what"),
    [
        ("main", {"resolution": [40, 4, 4.5]}, (40, 4, 4.5), "resolution"),
        ("/", {"resolution": [40.0, 4.0, 4.0]}, (40, 4, 4), "resolution"),
        ("main", {"voxel_size": [0.04, 0.004, 0.004], "units": "um"}, (40, 4, 4), "voxel_size"),
        ("main", {"voxel_size": [4, 4, 4], "units": ["nm"] * 3}, (4, 4, 4), "voxel_size"),
        ("main", {"element_size_um": [0.03, 0.004, 0.005]}, (30, 4, 5), "element_size_um"),
        ("main", {"resolution": [40, 4]}, None, None),
        ("main", {"resolution": [40, 4, 4], "units": "parsec"}, None, None),
        ("main", {"resolution": [0, 0, 0]}, None, None),
    ],
)
def test_attributes_state_the_voxel_size(tmp_path, holder, attributes, voxel_size, what) -> None:
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=np.ones((2, 3, 4), "u1"))
        file[holder].attrs.update(attributes)
    source = HDF5.open(str(path))
    assert source.voxel_size == (voxel_size and pytest.approx(voxel_size))
    assert source.voxel_size_source == (f"file: attribute {what}" if what else "assumed")
