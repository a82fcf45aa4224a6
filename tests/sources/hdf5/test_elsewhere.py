"""HDF5 datasets with voxels in other files than the one that was named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.errors import NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.hdf5.source import HDF5
from bfly.storage.files import Files
from bfly.testing.sources.base import touch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (6, 20, 24)

LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (2, 8, 8)},
    "compressed": {"chunks": (2, 8, 8), "compression": "gzip"},
    "other filter": {"chunks": (2, 8, 8), "scaleoffset": 0},
}

BOXES = [
    BoundingBox.of_shape(SHAPE),
    BoundingBox((1, 3, 5), (2, 4, 6)),
    BoundingBox((1, 3, 5), (5, 19, 24)),
    BoundingBox((4, 0, 0), (6, 8, 8)),
]


def volume(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(1, 200, shape, np.uint8)


def write(path: Path, data: NDArray[Any], name: str = "vol", **options: Any) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=data, **options)


def virtual(path: Path, shape: tuple[int, ...], *parts: Any, name: str = "main") -> None:
    """Write a virtual dataset; a part is (where, file, dataset, its shape, what of it)."""
    layout = h5py.VirtualLayout(shape, "u1")
    for where, file, dataset, size, taken in parts:
        layout[where] = h5py.VirtualSource(file, dataset, size)[taken]
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset(name, layout, fillvalue=7)


def check(path: Path, data: NDArray[Any], **words: Any) -> HDF5:
    source = HDF5.open(str(path), **words)
    for box in BOXES:
        inside = box & BoundingBox.of_shape(zyx(data))
        got = source.read(0, inside)
        assert np.array_equal(got, data[inside.slices])
    return source


def zyx(data: NDArray[Any]) -> tuple[int, int, int]:
    z, y, x = data.shape
    return z, y, x


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder has files of all names, with other voxels, and nothing reads them."""
    folder = tmp_path_factory.mktemp("cwd")
    for name in ("target.h5", "a.h5", "b.h5"):
        write(folder / name, np.full(SHAPE, 250, "u1"))
    (folder / "x.raw").write_bytes(b"\xfa" * 10_000)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("outer", LAYOUTS)
def test_an_external_link_is_read_from_its_target(tmp_path: Path, outer: str, layout: str) -> None:
    """Whatever is at the same place, under the same name, of the file with the link."""
    write(tmp_path / "target.h5", volume(), **LAYOUTS[layout])
    write(tmp_path / "main.h5", volume(1), **LAYOUTS[outer])
    with h5py.File(tmp_path / "main.h5", "a") as file:
        file["main"] = h5py.ExternalLink("target.h5", "/vol")
    check(tmp_path / "main.h5", volume())


def test_links_on_the_way_to_a_dataset(tmp_path: Path) -> None:
    write(tmp_path / "target.h5", volume(), "deep/er/vol", compression="gzip")
    with h5py.File(tmp_path / "main.h5", "w") as file:
        file["group"] = h5py.ExternalLink("mid.h5", "/to")
        file["soft"] = h5py.SoftLink("group/er")
        file["main"] = h5py.SoftLink("/soft/vol")
        file.create_dataset("vol", data=volume(1))
    with h5py.File(tmp_path / "mid.h5", "w") as file:
        file["to"] = h5py.ExternalLink(str(tmp_path / "target.h5"), "deep")
    source = check(tmp_path / "main.h5", volume())
    assert {os.path.basename(path) for path in source.all_files()} == {
        "main.h5",
        "mid.h5",
        "target.h5",
    }


def test_a_file_is_beside_the_link_or_beside_where_that_leads(tmp_path: Path) -> None:
    for name, data in (("real", volume()), ("seen", volume(1))):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "target.h5", data)
    with h5py.File(tmp_path / "real" / "main.h5", "w") as file:
        file["main"] = h5py.ExternalLink("target.h5", "vol")
    link = tmp_path / "seen" / "main.h5"
    link.symlink_to(tmp_path / "real" / "main.h5")
    check(link, volume(1))
    (tmp_path / "seen" / "target.h5").unlink()
    check(link, volume())


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"main": h5py.ExternalLink("gone.h5", "vol")}, "main needs another file, .*gone.h5"),
        ({"main": h5py.ExternalLink("target.h5", "gone")}, "target.h5, which has no dataset gone"),
        ({"main": h5py.ExternalLink("main.h5", "main")}, "main leads through more than 16 links"),
        ({"main": h5py.SoftLink("a"), "a": h5py.SoftLink("main")}, "more than 16 links"),
    ],
)
def test_links_that_lead_nowhere(tmp_path: Path, links: dict[str, Any], message: str) -> None:
    write(tmp_path / "target.h5", volume())
    with h5py.File(tmp_path / "main.h5", "w") as file:
        for name, link in links.items():
            file[name] = link
        file.create_dataset("other", data=volume(1))
    with pytest.raises(SourceError, match=message):
        HDF5.open(str(tmp_path / "main.h5"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sources_of_a_virtual_dataset(tmp_path: Path, layout: str) -> None:
    data = volume()
    (tmp_path / "sub").mkdir()
    write(tmp_path / "a.h5", data[:2], **LAYOUTS[layout])
    write(tmp_path / "sub" / "b.h5", data[2:4], **LAYOUTS[layout])
    whole = (slice(None),) * 3
    virtual(
        tmp_path / "v.h5",
        SHAPE,
        (np.s_[:2], "a.h5", "vol", (2, 20, 24), whole),
        (np.s_[2:4], str(tmp_path / "sub" / "b.h5"), "vol", (2, 20, 24), whole),
        (np.s_[4], ".", "own", (6, 20, 24), np.s_[4]),
    )
    write(tmp_path / "v.h5", data, "own")
    expected = data.copy()
    expected[5] = 7
    check(tmp_path / "v.h5", expected)


def test_selections_of_a_virtual_dataset_are_as_hdf5_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = volume(2, (6, 20, 48))
    write(tmp_path / "a.h5", data)
    write(tmp_path / "b.h5", data[0])
    write(tmp_path / "c.h5", data[:, np.newaxis])
    parts = (
        (np.s_[::2], "a.h5", "vol", data.shape, np.s_[3:6, :, 1::2]),
        (np.s_[1, 2:18:3, 4:9], "b.h5", "vol", data.shape[1:], np.s_[1:12:2, 10:15]),
        (np.s_[3:6, 5, :], "c.h5", "vol", (6, 1, 20, 48), np.s_[0:6:2, 0, 7, 24:48]),
        (np.s_[2:4, 4:8], "a.h5", "vol", data.shape, np.s_[:2, 2:6, :24]),
    )
    virtual(tmp_path / "v.h5", SHAPE, *parts)
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        with h5py.File("v.h5") as file:
            expected = file["main"][:]
    assert len(np.unique(expected)) > 100
    check(tmp_path / "v.h5", expected)


def test_a_virtual_dataset_of_virtual_and_external_ones(tmp_path: Path) -> None:
    data = volume()
    data.tofile(tmp_path / "x.raw")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("vol", SHAPE, "u1", external=[("x.raw", 0, h5py.h5f.UNLIMITED)])
        file["link"] = h5py.SoftLink("vol")
    whole = (slice(None),) * 3
    virtual(tmp_path / "b.h5", SHAPE, (whole, "x.h5", "link", SHAPE, whole), name="vol")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["vol"] = h5py.ExternalLink("b.h5", "vol")
    virtual(tmp_path / "v.h5", SHAPE, (whole, "a.h5", "vol", SHAPE, whole))
    source = check(tmp_path / "v.h5", data)
    names = {os.path.basename(path) for path in source.all_files()}
    assert names == {"v.h5", "a.h5", "b.h5", "x.h5", "x.raw"}


def test_external_storage_in_several_files(tmp_path: Path) -> None:
    data = volume()
    raw = data.tobytes()
    (tmp_path / "x.raw").write_bytes(b"head" + raw[:1000])
    (tmp_path / "y.raw").write_bytes(raw[1000:])
    pieces = [("x.raw", 4, 1000), ("y.raw", 0, h5py.h5f.UNLIMITED)]
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("main", SHAPE, "u1", external=pieces)
    source = check(tmp_path / "v.h5", data)
    os.truncate(tmp_path / "y.raw", 1500)
    with pytest.raises(SourceChanged, match=r"y\.raw changed"):
        source.read(0, BOXES[0])
    with pytest.raises(SourceError, match=r"y\.raw is truncated"):
        HDF5.open(str(tmp_path / "v.h5"))


WHOLE = (slice(None),) * 3


def _missing(folder: Path) -> None:
    virtual(folder / "v.h5", SHAPE, (WHOLE, "gone.h5", "vol", SHAPE, WHOLE))


def _no_dataset(folder: Path) -> None:
    write(folder / "a.h5", volume(), "other")
    virtual(folder / "v.h5", SHAPE, (WHOLE, "a.h5", "vol", SHAPE, WHOLE))


def _smaller(folder: Path) -> None:
    write(folder / "a.h5", volume()[:, :10])
    virtual(folder / "v.h5", SHAPE, (np.s_[:, :16], "a.h5", "vol", SHAPE, np.s_[:, :16]))


def _printf(folder: Path) -> None:
    layout = h5py.VirtualLayout(SHAPE, "u1", maxshape=(None, 20, 24))
    unlimited = h5py.h5s.UNLIMITED
    source = h5py.VirtualSource("pat%b.h5", "vol", (1, 20, 24), maxshape=(1, 20, 24))
    layout[:unlimited] = source
    write(folder / "pat0.h5", volume()[:1])
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_virtual_dataset("main", layout)


def _unbounded(folder: Path) -> None:
    write(folder / "a.h5", volume(), maxshape=(None, 20, 24))
    layout = h5py.VirtualLayout(SHAPE, "u1", maxshape=(None, 20, 24))
    unlimited = h5py.h5s.UNLIMITED
    source = h5py.VirtualSource("a.h5", "vol", SHAPE, maxshape=(None, 20, 24))
    layout[:unlimited] = source[:unlimited]
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_virtual_dataset("main", layout)


def _percent(folder: Path) -> None:
    virtual(folder / "v.h5", SHAPE, (WHOLE, "a%%.h5", "vol", SHAPE, WHOLE))


def _itself(folder: Path) -> None:
    virtual(folder / "v.h5", SHAPE, (WHOLE, ".", "main", SHAPE, WHOLE))


def _circle(folder: Path) -> None:
    virtual(folder / "v.h5", SHAPE, (WHOLE, "a.h5", "vol", SHAPE, WHOLE))
    virtual(folder / "a.h5", SHAPE, (WHOLE, "v.h5", "main", SHAPE, WHOLE), name="vol")


def _deep(folder: Path) -> None:
    write(folder / "v20.h5", volume(), "main")
    for i in range(20):
        name = "v.h5" if i == 0 else f"v{i}.h5"
        virtual(folder / name, SHAPE, (WHOLE, f"v{i + 1}.h5", "main", SHAPE, WHOLE))


REFUSED = {
    _missing: r"main needs another file, .*gone\.h5",
    _no_dataset: r"a\.h5 has no dataset vol",
    _smaller: r"main takes voxels up to \[5, 15, 23\] from .*a\.h5, which has the shape",
    _printf: r"/main .*pat%b\.h5",
    _unbounded: r"/main is a virtual dataset without bound.*a\.h5",
    _percent: r"/main has the source 'a%.*'%'",
    _itself: r"is, by .*v\.h5, its own source",
    _circle: r"is, by .*v\.h5, its own source",
    _deep: r"virtual datasets deep",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_cannot_be_read_right_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    with pytest.raises(SourceError, match=REFUSED[make]):
        HDF5.open(str(tmp_path / "v.h5"))


@pytest.mark.parametrize("kind", ["link", "virtual", "external"])
def test_a_change_of_another_file_is_noticed(tmp_path: Path, kind: str) -> None:
    """While it is served, and by what was kept of it from before a restart."""
    data, other = volume(), tmp_path / ("x.raw" if kind == "external" else "a.h5")
    path = tmp_path / "v.h5"
    if kind == "external":
        data.tofile(other)
        with h5py.File(path, "w") as file:
            file.create_dataset("main", SHAPE, "u1", external=[("x.raw", 0, data.nbytes)])
    else:
        write(other, data)
    if kind == "virtual":
        virtual(path, SHAPE, (WHOLE, "a.h5", "vol", SHAPE, WHOLE))
    if kind == "link":
        with h5py.File(path, "w") as file:
            file["main"] = h5py.ExternalLink("a.h5", "vol")
    source = check(path, data)
    state = source.state()
    assert source.changed() is None
    assert HDF5.open(str(path)).state() == state
    new = volume(5)
    if kind == "external":
        new.tofile(other)
    else:
        with h5py.File(other, "a") as file:
            file["vol"][:] = new
    touch(other)
    assert source.changed() == str(other)
    with pytest.raises(SourceChanged):
        source.read(0, BOXES[0])
    assert check(path, new).state() != state


@pytest.mark.parametrize("change", ["gone", "renamed", "another dataset", "damaged", "a folder"])
def test_a_source_that_goes_while_it_is_served_is_named(tmp_path: Path, change: str) -> None:
    """The rest of the volume is read again with it; before that, nothing is filled."""
    data, other = volume(), tmp_path / "b.h5"
    write(tmp_path / "a.h5", data[:3])
    write(other, data[3:])
    parts = ((np.s_[:3], "a.h5", "vol", (3, 20, 24), WHOLE), (np.s_[3:], "b.h5", "vol"))
    virtual(tmp_path / "v.h5", SHAPE, parts[0], (*parts[1], (3, 20, 24), WHOLE))
    source = check(tmp_path / "v.h5", data)
    if change == "renamed":
        other.rename(tmp_path / "c.h5")
    else:
        other.unlink()
    if change == "another dataset":
        write(other, data[3:], "other")
    elif change == "damaged":
        other.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(3000))
    elif change == "a folder":
        other.mkdir()
    assert source.changed() == str(other)
    with pytest.raises(SourceError, match=r"b\.h5"):
        source.read(0, BOXES[0])
    with pytest.raises(SourceError, match=r"v\.h5: /main needs another file, .*b\.h5"):
        HDF5.open(str(tmp_path / "v.h5"))


@pytest.mark.parametrize("through", ["link", "virtual", "self", "external", "nested link"])
def test_no_level_leads_out_of_the_allowed_folders(tmp_path: Path, through: str) -> None:
    inside, secret = tmp_path / "in", tmp_path / "secret"
    inside.mkdir()
    secret.write_bytes(b"s" * 10_000)
    write(tmp_path / "secret.h5", np.full(SHAPE, 250, "u1"))
    external = [(str(secret), 0, 6 * 20 * 24)]
    with h5py.File(inside / "a.h5", "w") as file:
        if through in ("link", "nested link"):
            file["vol"] = h5py.ExternalLink("../secret.h5", "vol")
        elif through != "virtual":
            file.create_dataset("vol", SHAPE, "u1", external=external)
    if through == "virtual":
        part = (WHOLE, "../secret.h5", "vol", SHAPE, WHOLE)
        virtual(inside / "a.h5", SHAPE, part, name="vol")
    if through == "self":
        with h5py.File(inside / "v.h5", "w") as file:
            file.create_dataset("vol", SHAPE, "u1", external=external)
    target = "." if through == "self" else "a.h5"
    virtual(inside / "v.h5", SHAPE, (WHOLE, target, "vol", SHAPE, WHOLE))
    if through == "nested link":
        with h5py.File(inside / "a.h5", "a") as file:
            file["outer"] = h5py.SoftLink("vol")
    with pytest.raises(NotAllowed):
        HDF5.open(str(inside / "v.h5"), files=Files([str(inside)]))
