"""Archives of NumPy: each array of three axes or more is a volume."""

import io
import struct
import zipfile

import numpy as np
import pytest

from bfly.discovery.scan import scan
from bfly.errors import Oversized, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.npz import Npz
from bfly.storage.files import Files
from bfly.storage.part import WHOLE, Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

DTYPES = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32")


class TestStored(SourceSuite):
    source = Npz
    dtypes = DTYPES

    def write(self, folder, volume):
        path = folder / "volume.npz"
        np.savez(path, volume=volume)
        return path


class TestDeflated(SourceSuite):
    source = Npz
    dtypes = DTYPES

    def write(self, folder, volume):
        path = folder / "volume.npz"
        np.savez_compressed(path, np.asfortranarray(volume.astype(volume.dtype.newbyteorder(">"))))
        return path


VOLUMES = {
    "table": np.arange(6, dtype="u8").reshape(3, 2),
    "four": random_volume((2, 3, 4, 5), "uint8"),
    "em": random_volume((3, 4, 5), "uint8"),
    "words": np.array([[["a"]]]),
    "seg": random_volume((3, 4, 5), "uint32"),
    "a=1": random_volume((3, 4, 5), "uint8"),
}


@pytest.fixture(params=[np.savez, np.savez_compressed])
def path(request, tmp_path):
    place = tmp_path / "data" / "v.npz"
    place.parent.mkdir()
    request.param(place, **VOLUMES)
    return str(place)


def whole(source):
    return source.read(0, source.scales[0].box)


def test_the_first_array_of_three_axes_is_the_default(path):
    np.testing.assert_array_equal(whole(Npz.open(path)), VOLUMES["em"])


def test_the_array_main_is_the_default(tmp_path):
    np.savez(tmp_path / "v.npz", a=VOLUMES["seg"], main=VOLUMES["em"])
    np.testing.assert_array_equal(whole(Npz.open(str(tmp_path / "v.npz"))), VOLUMES["em"])


def test_each_array_is_a_channel(path, caplog):
    assert Npz.parts(path, Files()) == [WHOLE, Part("four"), Part("seg")]
    assert "a=1 cannot be named in a path" in caplog.text
    found = scan(path.removesuffix("/v.npz"), Files())
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert {channel.name: channel.path for channel in dataset.channels} == {
        "v.npz": path,
        "v.npz-four": f"{path}#four",
        "v.npz-seg": f"{path}#seg",
    }
    for name in ("em", "seg"):
        np.testing.assert_array_equal(whole(Npz.open(path, part=Part(name))), VOLUMES[name])


def test_a_place_on_a_fourth_axis_is_named(path):
    with pytest.raises(SourceError, match=r"has axes of 2 x 3 x 4 x 5 voxels.*#c=0 is one volume"):
        Npz.open(path, part=Part("four"))
    part = Part.parse("four,c=1")
    np.testing.assert_array_equal(whole(Npz.open(path, part=part)), VOLUMES["four"][1])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("other", r"has no array other; it has table \(3, 2\), four \(2, 3, 4, 5\), em"),
        ("table", r"the array table has the shape \(3, 2\); allowed are three axes"),
        ("words", r"holds <U1 voxels"),
        ("em,c=1", "has no axis c for c=1"),
    ],
)
def test_other_parts_are_refused(path, part, message):
    with pytest.raises(SourceError, match=message):
        Npz.open(path, part=Part.parse(part))


def test_an_archive_without_a_volume_is_no_channel(tmp_path):
    np.savez(tmp_path / "v.npz", table=VOLUMES["table"])
    assert not Npz.parts(str(tmp_path / "v.npz"), Files())
    found = scan(str(tmp_path), Files())
    assert found.experiments == ()
    assert [str(kind) for kind in found.passed_over] == ["1 of .npz (v.npz)"]
    with pytest.raises(SourceError, match="has no array of three axes; it has table"):
        Npz.open(str(tmp_path / "v.npz"))


def test_other_archives_are_not_of_numpy(tmp_path):
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
        archive.writestr("notes.txt", "words")
    assert not Npz.guess_can_open(str(tmp_path / "v.npz"))


def npy(volume):
    file = io.BytesIO()
    np.save(file, volume)
    return file.getvalue()


def test_an_array_of_more_voxels_than_are_stored_is_refused(tmp_path):
    data = npy(VOLUMES["em"])
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
        archive.writestr("em.npy", data[:-1])
        archive.writestr("more.npy", data)
    with pytest.raises(SourceError, match="the array em needs 188 bytes; 187 are stored"):
        Npz.open(str(tmp_path / "v.npz"))


def test_other_compressions_are_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("em.npy", npy(VOLUMES["em"]))
    with pytest.raises(SourceError, match="the array em has the compression 12; allowed are none"):
        Npz.open(str(tmp_path / "v.npz"))


def test_damage_in_a_compressed_array_is_an_error(tmp_path):
    path = tmp_path / "v.npz"
    np.savez_compressed(path, em=random_volume((20, 30, 40), "uint8"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"v\.npz"):
        whole(Npz.open(str(path)))


def test_a_compressed_array_is_bounded(tmp_path):
    path = tmp_path / "v.npz"
    np.savez_compressed(path, em=np.zeros((100, 100, 100), "u1"), small=VOLUMES["em"])
    files = Files(max_chunk=100_000)
    with pytest.raises(Oversized, match="unpacks to 1000128 bytes; max-chunk-size is 100000"):
        Npz.open(str(path), files=files)
    whole(Npz.open(str(path), files=files, part=Part("small")))
    np.savez(path, em=np.ones((100, 100, 100), "u1"))
    box = BoundingBox((0, 0, 0), (1, 2, 3))
    assert (Npz.open(str(path), files=files).read(0, box) == 1).all()


def test_a_header_that_states_too_much_is_refused(tmp_path):
    head = b"\x93NUMPY\2\0" + struct.pack("<I", (1 << 32) - 1)
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("em.npy", head + bytes(1 << 20))
    with pytest.raises(SourceError, match=r"v\.npz"):
        Npz.open(str(tmp_path / "v.npz"))
