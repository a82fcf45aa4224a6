"""BossDB: what intern reads, and what Neuroglancer's boss source asks for."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import blosc
import h5py
import imagecodecs
import numpy as np
import pytest
from intern.convenience.array import _BossDBVolumeProvider, array
from intern.remote.boss import BossRemote
from intern.service.boss.httperrorlist import HTTPErrorList
from requests import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from intern.resource.boss.resource import ChannelResource

    from tests.fixtures.channels import Channel

AT = "exp/sam::dat"
CUBOID = [16, 512, 512]

# intern leaves its sessions open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def remote_of(client: httpx.Client) -> BossRemote:
    host = str(client.base_url).removeprefix("http://").rstrip("/")
    return BossRemote({"protocol": "http", "host": host, "token": "public"})


@pytest.fixture
def remote(channel: Channel) -> BossRemote:
    return remote_of(channel.client)


@pytest.fixture
def resource(remote: BossRemote, channel: Channel) -> ChannelResource:
    return remote.get_channel(channel.name, "exp", "sam::dat")


@pytest.fixture
def seg(labels: dict[str, Channel]) -> Channel:
    return labels["seg"]


def ranges(start: Any, stop: Any) -> list[list[int]]:
    """Give a box (zyx) as ranges of x, y and z."""
    return [[int(a), int(b)] for a, b in zip(start, stop, strict=True)][::-1]


def whole(channel: Channel, mip: int) -> list[list[int]]:
    first = channel.origin(mip)
    return ranges(first, first + channel.at_mip(mip).shape)


def cutout(channel: Channel, mip: int, box: list[list[int]], accept: str, **words: str) -> Any:
    """Ask as a client other than intern would; gives the response."""
    spans = "/".join(f"{start}:{stop}" for start, stop in box)
    path = f"/latest/cutout/{AT}/{channel.name}/{mip}/{spans}/"
    return channel.client.get(path, params=words, headers={"accept": accept})


# intern


@pytest.mark.reads("intern: listing", "boss")
def test_intern_lists_what_there_is(remote: BossRemote, channel: Channel) -> None:
    assert remote.list_collections() == ["exp"]
    assert remote.list_experiments("exp") == ["sam::dat"]
    assert channel.name in remote.list_channels("exp", "sam::dat")
    assert remote.list_coordinate_frames() == ["exp::sam::dat"]


@pytest.mark.reads("intern: listing", "boss")
def test_intern_reads_what_a_channel_is(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    labels = channel.kind == "segmentation"
    assert resource.type == ("annotation" if labels else "image")
    assert resource.datatype == ("uint64" if labels else "uint8")
    assert resource.downsample_status == "DOWNSAMPLED"
    experiment = remote.get_experiment("exp", "sam::dat")
    assert experiment.num_hierarchy_levels == len(channel.mips)
    frame = remote.get_coordinate_frame(experiment.coord_frame)
    assert (frame.x_start, frame.y_start, frame.z_start) == (0, 0, 0)
    stop = np.array(channel.offset) + channel.voxels.shape
    assert (frame.z_stop, frame.y_stop, frame.x_stop) == tuple(stop)
    sizes = frame.z_voxel_size, frame.y_voxel_size, frame.x_voxel_size
    assert sizes == tuple(channel.voxel_size)
    assert frame.voxel_unit == "nanometers"


@pytest.mark.reads("intern: cutout", "boss")
def test_intern_reads_every_mip(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    for mip in channel.mips:
        found = remote.get_cutout(resource, mip, *whole(channel, mip))
        assert np.array_equal(found, channel.at_mip(mip))


@pytest.mark.reads("intern: cutout", "boss")
def test_intern_reads_a_part_with_time_and_past_the_end(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    first = channel.origin(1)
    box = ranges(np.add(first, (3, 5, 7)), np.add(first, (8, 21, 30)))
    expected = channel.at_mip(1)[3:8, 5:21, 7:30]
    assert np.array_equal(remote.get_cutout(resource, 1, *box), expected)
    assert np.array_equal(remote.get_cutout(resource, 1, *box, time_range=[0, 1])[0], expected)
    box = ranges(first, first + channel.at_mip(1).shape + (2, 3, 4))
    padded = np.pad(channel.at_mip(1), ((0, 2), (0, 3), (0, 4)))
    assert np.array_equal(remote.get_cutout(resource, 1, *box), padded)


@pytest.mark.reads("intern: array", "boss")
def test_intern_arrays_count_from_voxel_0(remote: BossRemote, channel: Channel) -> None:
    provider = _BossDBVolumeProvider(remote)
    for mip in (0, 1):
        found = array(f"bossdb://{AT}/{channel.name}", resolution=mip, volume_provider=provider)
        z, y, x = (int(n) for n in channel.origin(mip))
        assert found.shape[0] == channel.offset[0] + channel.voxels.shape[0]
        expected = channel.at_mip(mip)[:9, :20, :30]
        assert np.array_equal(found[z : z + 9, y : y + 20, x : x + 30], expected)


@pytest.mark.reads("intern: ids", "boss")
def test_intern_finds_ids(seg: Channel) -> None:
    remote = remote_of(seg.client)
    resource = remote.get_channel("seg", "exp", "sam::dat")
    for mip in seg.mips:
        first = seg.origin(mip)
        part = seg.at_mip(mip)[:2, :3, :4]
        found = remote.get_ids_in_region(resource, mip, *ranges(first, np.add(first, (2, 3, 4))))
        assert found == np.unique(part).tolist()
        assert min(found) > 2**53


@pytest.mark.reads("intern: ids", "boss")
def test_intern_finds_ids_of_real_labels(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    if channel.kind != "segmentation":
        with pytest.raises(TypeError, match="not an annotation channel"):
            remote.get_ids_in_region(resource, 0, [0, 9], [0, 9], [0, 9])
        return
    found = remote.get_ids_in_region(resource, 1, *whole(channel, 1))
    assert found == [label for label in np.unique(channel.at_mip(1)).tolist() if label]


@pytest.mark.reads("intern: bounding box", "boss")
@pytest.mark.parametrize("mip", [0, 2])
def test_intern_finds_the_bounding_box(
    remote: BossRemote, resource: ChannelResource, channel: Channel, mip: int
) -> None:
    if channel.kind != "segmentation":
        pytest.skip("an image has no labels")
    voxels = channel.at_mip(mip)
    labels = np.unique(voxels)
    for label in labels[[0, len(labels) // 2, -1]]:
        where = np.argwhere(voxels == label) + channel.origin(mip)
        start, stop = where.min(0), where.max(0) + 1
        found = remote.get_bounding_box(resource, mip, int(label), "tight")
        x, y, z = ranges(start, stop)
        assert found == {"x_range": x, "y_range": y, "z_range": z, "t_range": [0, 1]}
        start, stop = start // CUBOID * CUBOID, -(-stop // CUBOID) * CUBOID
        found = remote.get_bounding_box(resource, mip, int(label))
        x, y, z = ranges(start, stop)
        assert found == {"x_range": x, "y_range": y, "z_range": z, "t_range": [0, 1]}


@pytest.mark.reads("intern: filter", "boss")
def test_intern_filters_labels(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    box = whole(channel, 1)
    if channel.kind != "segmentation":
        answer = cutout(channel, 1, box, "application/blosc", filter="1")
        assert answer.status_code == 400
        assert "only a segmentation has labels" in answer.text
        return
    voxels = channel.at_mip(1)
    wanted = np.unique(voxels)[[1, 3]]
    expected = np.where(np.isin(voxels, wanted), voxels, 0)
    found = remote.get_cutout(resource, 1, *box, id_list=wanted.tolist())
    assert np.array_equal(found, expected)
    raw = cutout(channel, 1, box, "*/*", filter=",".join(map(str, wanted)))
    assert raw.headers["content-type"] == "application/blosc"
    assert np.array_equal(np.frombuffer(blosc.decompress(raw.content), "u8"), expected.ravel())


@pytest.mark.reads("intern: reserve", "boss")
def test_intern_is_told_free_ids(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    if channel.kind == "segmentation":
        assert remote.reserve_ids(resource, 10) == int(channel.voxels.max()) + 1


def test_intern_finds_no_metadata(remote: BossRemote, resource: ChannelResource) -> None:
    assert remote.list_metadata(resource) == []
    with pytest.raises(HTTPErrorList, match="There is no key colour"):
        remote.get_metadata(resource, ["colour"])


def test_intern_cannot_write(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    voxels = np.ones((1, 2, 2), resource.datatype)
    with pytest.raises(HTTPError, match=r"\(405\) - The method POST is not in"):
        remote.create_cutout(resource, 0, [0, 2], [0, 2], [0, 1], voxels)
    with pytest.raises(HTTPErrorList, match="405"):
        remote.create_metadata(resource, {"colour": "red"})
    with pytest.raises(HTTPError, match="405"):
        remote.delete_project(resource)


# Neuroglancer


def test_neuroglancer_finds_every_field(channel: Channel) -> None:
    get = channel.client.get
    experiment = get(f"/latest/collection/exp/experiment/{AT.partition('/')[2]}/").json()
    assert channel.name in experiment["channels"]
    assert (experiment["name"], experiment["collection"]) == ("sam::dat", "exp")
    assert experiment["num_hierarchy_levels"] == len(channel.mips)
    frame = get(f"/latest/coord/{experiment['coord_frame']}/").json()
    found = get(f"/latest/collection/exp/experiment/sam::dat/channel/{channel.name}/").json()
    words = {"type", "downsample_status", "description", "datatype", "name", "base_resolution"}
    assert words <= set(found)
    scales = get(f"/latest/downsample/{AT}/{channel.name}").json()
    assert scales["num_hierarchy_levels"] == len(channel.mips)
    for mip in channel.mips:
        size = np.array(scales["voxel_size"][str(mip)])[::-1]
        np.testing.assert_allclose(size, channel.scale(mip), rtol=1e-12)
        end = channel.origin(mip) + channel.at_mip(mip).shape
        assert scales["extent"][str(mip)] == end[::-1].tolist()
    base = [frame[f"{axis}_voxel_size"] for axis in "xyz"]
    assert scales["voxel_size"]["0"] == base


def test_neuroglancer_reads_chunks(channel: Channel) -> None:
    """From voxel 0 to the extent, in blocks of 512 x 512 x 16 that are cut off at the end."""
    for mip in channel.mips[1:]:
        end = channel.origin(mip) + channel.at_mip(mip).shape
        expected = np.pad(channel.at_mip(mip), [(int(n), 0) for n in channel.origin(mip)])
        for z in range(0, int(end[0]), 16):
            box = ranges((z, 0, 0), np.minimum(end, (z + 16, 512, 512)))
            answer = cutout(channel, mip, box, "application/npygz")
            assert answer.headers["content-type"] == "application/npygz"
            assert answer.headers["vary"] == "accept, origin"
            found = np.load(io.BytesIO(zlib.decompress(answer.content)))
            assert found.dtype == ("u1" if channel.kind == "image" else "u8")
            assert np.array_equal(found, expected[z : z + 16])


def test_neuroglancer_reads_jpeg(fib25_served: dict[str, Channel]) -> None:
    channel = fib25_served["grayscale"]
    box = [[0, 250], [10, 200], [16, 32]]
    answer = cutout(channel, 0, box, "image/jpeg")
    assert answer.headers["content-type"] == "image/jpeg"
    picture = imagecodecs.jpeg8_decode(answer.content)
    expected = channel.voxels[16:32, 10:200, :250]
    assert picture.shape == (16 * 190, 250)
    error = picture.reshape(expected.shape).astype(float) - expected
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 35


# Others


def test_formats_of_one_address_are_kept_apart(seg: Channel) -> None:
    box = whole(seg, 1)
    expected = seg.at_mip(1)
    for _ in range(2):
        frame = cutout(seg, 1, box, "application/blosc")
        npy = cutout(seg, 1, box, "text/html, application/npygz;q=0.9, application/blosc;q=0.1")
        assert np.array_equal(
            np.frombuffer(blosc.decompress(frame.content), "u8"), expected.ravel()
        )
        found = np.load(io.BytesIO(zlib.decompress(npy.content)))
        assert np.array_equal(found, expected)
        assert frame.headers["etag"] != npy.headers["etag"]
    again = seg.client.get(
        frame.url, headers={"accept": "application/blosc", "if-none-match": frame.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("cutout/exp/sam::dat/foo/0/0:1/0:1/0:1/", 400, "The channel foo is not in ['seg']."),
        ("cutout/exp/sam::dat/seg/0/5:3/0:1/0:1/", 400, "The range of x 5:3 is not start:stop"),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0/", 400, "The range of z 0 is not start:stop"),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0:1/1:2/", 400, "The range of time 1:2 is not 0:1."),
        ("cutout/exp/sam::dat/seg/x/0:1/0:1/0:1/", 400, "The resolution x is not a whole number."),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0:1/?filter=a", 400, "The filter a is not a whole"),
        ("cutout/exp/sam/seg/0/0:1/0:1/0:1/", 404, "exp::sam is not experiment::sample::dataset"),
        ("cutout/exp/sam::dat/seg/0/0:1/", 404, "there are ['boundingbox', 'collection'"),
        ("cutout/exp/sam::dat/seg/0/0:99999/0:99999/0:9/", 413, "max-cutout-size"),
        ("boundingbox/exp/sam::dat/seg/0/7/", 404, "There is no label 7 at resolution 0."),
        ("boundingbox/exp/sam::dat/seg/0/7/?type=a", 400, "type a is not in ['loose', 'tight']"),
        ("reserve/exp/sam::dat/seg/0", 400, "The number of ids 0 is not from 1"),
        (f"reserve/exp/sam::dat/seg/{2**63}", 400, "There are no 9223372036854775808 ids above"),
        ("collection/foo", 400, "The experiment foo is not in ['exp']."),
        ("collection/exp/experiment/sam::foo", 400, "The dataset foo is not in ['dat']."),
        ("meta/exp/foo::dat", 400, "The sample foo is not in ['sam']."),
        ("meta/exp/sam::dat/seg/more", 404, "there are ['boundingbox'"),
        ("groups/", 404, "there are ['boundingbox'"),
        ("", 404, "there are ['boundingbox'"),
    ],
)
def test_mistakes(seg: Channel, path: str, status: int, message: str) -> None:
    answer = seg.client.get(f"/v1/{path}")
    assert (answer.status_code, message in answer.text) == (status, True), answer.text


@pytest.fixture(scope="module")
def several(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable, make_tree: Callable
) -> Iterator[httpx.Client]:
    """Channels of one dataset at different places, one of them broken."""
    folder = tmp_path_factory.mktemp("boss")
    channels = []
    for name, offset, shape in (("a", (-2, 5, 6), (9, 70, 80)), ("b", (1, 0, 9), (20, 30, 150))):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=np.ones(shape, "f4" if name == "a" else "u2"))
        channels.append({"name": name, "path": str(folder / f"{name}.h5"), "offset": offset})
    channels[1] |= {"voxel_size": [30, 4, 4], "short-description": "EM"}
    (folder / "c.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with serve(make_tree(*channels, {"name": "c", "path": str(folder / "c.h5")})) as client:
        yield client


def test_a_frame_holds_all_channels(several: httpx.Client) -> None:
    frame = several.get("/v1/coord/exp::sam::dat").json()
    assert [frame[f"{axis}_start"] for axis in "zyx"] == [-2, 0, 0]
    assert [frame[f"{axis}_stop"] for axis in "zyx"] == [21, 75, 159]
    assert [frame[f"{axis}_voxel_size"] for axis in "zyx"] == [30, 4, 4]
    scales = several.get(f"/v1/downsample/{AT}/a").json()
    assert scales["extent"] == {"0": [86, 75, 9], "1": [43, 38, 9]}
    assert scales["voxel_size"]["1"] == [8, 8, 30]
    about = several.get(f"/v1/collection/{AT.replace('/', '/experiment/')}/channel/b").json()
    assert (about["description"], about["datatype"]) == ("EM", "uint16")


def test_a_broken_channel_hides_itself_alone(several: httpx.Client) -> None:
    experiment = several.get("/v1/collection/exp/experiment/sam::dat").json()
    assert experiment["channels"] == ["a", "b"]
    names = several.get("/v1/collection/exp/experiment/sam::dat/channel/").json()
    assert names == {"channels": ["a", "b", "c"]}
    broken = several.get(f"/v1/downsample/{AT}/c")
    assert broken.status_code == 503
    assert "The channel c cannot be used" in broken.text
    assert several.get(f"/v1/cutout/{AT}/c/0/0:1/0:1/0:1/").status_code == 503
