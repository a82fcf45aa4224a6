"""intern reads BossDB: lists, cutouts, arrays, and what it asks of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import blosc
import numpy as np
import pytest
from intern.convenience.array import _BossDBVolumeProvider, array
from intern.remote.boss import BossRemote
from intern.service.boss.httperrorlist import HTTPErrorList
from requests import HTTPError

from tests.fixtures.boss import AT, cutout, ranges, whole

if TYPE_CHECKING:
    import httpx
    from intern.resource.boss.resource import ChannelResource

    from tests.fixtures.channels import Channel

CUBOID = [16, 512, 512]

every_segmentation = pytest.mark.parametrize(
    "channel", ["seg", "near", "groundtruth.h5", "oversegmented_stack_labels.h5"], indirect=True
)

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
    stop = np.array(channel.voxel_offset) + channel.voxels.shape
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
        assert found.shape[0] == channel.voxel_offset[0] + channel.voxels.shape[0]
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


@pytest.mark.parametrize("channel", ["grayscale"], indirect=True)
def test_intern_asks_for_no_labels_of_an_image(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    with pytest.raises(TypeError, match="not an annotation channel"):
        remote.get_ids_in_region(resource, 0, [0, 9], [0, 9], [0, 9])
    answer = cutout(channel, 1, whole(channel, 1), "application/blosc", filter="1")
    assert answer.status_code == 400
    assert "only a segmentation has labels" in answer.text


@pytest.mark.reads("intern: ids", "boss")
@every_segmentation
def test_intern_finds_ids_of_whole_volumes(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    found = remote.get_ids_in_region(resource, 1, *whole(channel, 1))
    assert found == [label for label in np.unique(channel.at_mip(1)).tolist() if label]


@pytest.mark.reads("intern: bounding box", "boss")
@pytest.mark.parametrize("mip", [0, 2])
@every_segmentation
def test_intern_finds_the_bounding_box(
    remote: BossRemote, resource: ChannelResource, channel: Channel, mip: int
) -> None:
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
@every_segmentation
def test_intern_filters_labels(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
    box = whole(channel, 1)
    voxels = channel.at_mip(1)
    wanted = np.unique(voxels)[[1, 3]]
    expected = np.where(np.isin(voxels, wanted), voxels, 0)
    found = remote.get_cutout(resource, 1, *box, id_list=wanted.tolist())
    assert np.array_equal(found, expected)
    raw = cutout(channel, 1, box, "*/*", filter=",".join(map(str, wanted)))
    assert raw.headers["content-type"] == "application/blosc"
    assert np.array_equal(np.frombuffer(blosc.decompress(raw.content), "u8"), expected.ravel())


@pytest.mark.reads("intern: reserve", "boss")
@every_segmentation
def test_intern_is_told_free_ids(
    remote: BossRemote, resource: ChannelResource, channel: Channel
) -> None:
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
