"""The same answers at the address ``E/S/D/C``, its unique end, and the former ``E::S::D/C``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import websockets.sync.client as websockets
import zarr
from hypothesis import given
from hypothesis import strategies as st

from bfly import registry
from bfly.config.config import Config
from bfly.errors import ButterflyError
from bfly.testing.volumes import random_volume
from tests.config.test_addresses import config as config_of
from tests.config.test_addresses import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

CHANNELS = ["em", "info", "s0", "mesh", ".zattrs", "labels", "a b.h5", "a%2Fb", "0"]

FILES = [
    "pre/{}/info",
    "pre/{}/0/0-64_0-64_0-8",
    "pre/{}/png/0/0-64_0-64_0-8",
    "pre/{}/synapses/info",
    "pre/{}/segment_properties/info",
    "zarr/{}/.zattrs",
    "zarr/{}/0/.zarray",
    "zarr/{}/0/0/0/0",
    "zarr/{}/blosc/0/0/0/0",
    "zarr/{}/labels/.zattrs",
    "zarr/{}/nothing",
    "zarr3/{}/zarr.json",
    "zarr3/{}/0/c/0/0/0",
    "n5/{}/attributes.json",
    "n5/{}/s0/attributes.json",
    "n5/{}/s0/0/0/0",
    "tiles/{}/0/3/0/0.png",
    "tiles/{}/3.dzi",
    "tiles/{}/nothing",
    "browse/{}",
    "browse/{}/thumbnail",
    "browse/{}/contrast",
]


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("addresses")
    channels = []
    for number, name in enumerate(CHANNELS):
        path = folder / f"{number}.zarr"
        zarr.create_array(str(path), data=random_volume((8, 70, 90), "uint8", seed=number))
        channels.append({"name": name, "path": str(path)})
    both = folder / "both.zarr"
    options = {"chunks": (1, 8, 64, 64), "dimension_names": ["c", "z", "y", "x"]}
    zarr.create_array(str(both), data=random_volume((2, 8, 70, 90), "uint8"), **options)
    group = [{"name": "red", "path": str(both)}, {"name": "green", "path": f"{both}#c=1"}]
    twins = [{"name": "em", "path": str(folder / "1.zarr")}]
    datasets = [
        {"name": name, "path": str(folder), "channels": found}
        for name, found in {"d": [*channels, *group], "other": twins}.items()
    ]
    samples = [{"name": "s.1", "datasets": datasets}]
    config = Config.model_validate({"experiments": [{"name": "e x", "samples": samples}]})
    with serve(config) as client:
        yield client


def same(client: httpx.Client, former: str, address: str) -> None:
    """Assert that two addresses have the same answer."""
    old, new = client.get(former), client.get(address)
    assert (new.status_code, new.content) == (old.status_code, old.content), address
    for header in ("content-type", "content-encoding", "etag", "cache-control"):
        assert new.headers.get(header) == old.headers.get(header)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("file", FILES)
def test_every_protocol_answers_the_same(client: httpx.Client, name: str, file: str) -> None:
    former = f"e%20x::s.1::d/{quote(name, safe='')}"
    assert client.get("/pre/" + former + "/info").status_code == 200
    shorts = [f"d/{quote(name, safe='')}"] + ([quote(name, safe="")] if name != "em" else [])
    for address in ("e%20x/s.1/" + shorts[0], "s.1/" + shorts[0], *shorts):
        same(client, "/" + file.format(former), "/" + file.format(address))


PROTOCOLS = {
    prefix: protocol
    for name in ("precomputed", "zarr", "zarr3", "n5", "tiles", "browse")
    for protocol in [registry.load("protocols", name)]
    for prefix in protocol.prefixes
}


def asked(config: Config, path: str) -> Any:
    """Return the query of a path, or the error, as values that can be compared."""
    prefix, _, rest = path.partition("/")
    try:
        query = PROTOCOLS[prefix](config).query(rest, {})
    except ButterflyError as error:
        return type(error), str(error)
    return type(query), {key: str(value) for key, value in vars(query).items()}


@given(trees, st.sampled_from(FILES))
def test_every_protocol_asks_for_the_same(
    channels: set[tuple[str, str, str, str]], file: str
) -> None:
    """In any tree of names, the address and the former one make equal queries, hence answers."""
    config = config_of(channels)
    for experiment, sample, dataset, channel in channels:
        former = asked(config, file.format(f"{experiment}::{sample}::{dataset}/{channel}"))
        assert asked(config, file.format(f"{experiment}/{sample}/{dataset}/{channel}")) == former


@pytest.mark.parametrize("file", ["pre/{}/info", "pre/{}/0/0-64_0-64_0-8", "zarr/{}/0/1/0/0/0"])
def test_groups_of_channels(client: httpx.Client, file: str) -> None:
    former = file.format("e%20x::s.1::d/red-all")
    assert client.get(f"/{former}").status_code == 200
    for address in ("e%20x/s.1/d/red-all", "d/red-all", "red-all"):
        same(client, f"/{former}", f"/{file.format(address)}")


def test_a_short_address_of_two_channels_names_both(client: httpx.Client) -> None:
    for file in ("pre/em/info", "zarr/em/.zattrs", "n5/em/attributes.json", "tiles/em/3.dzi"):
        answer = client.get(f"/{file}")
        assert answer.status_code == 400
        assert "em may mean e x/s.1/d/em, e x/s.1/other/em: write one of them." in answer.text


@pytest.mark.parametrize("path", ["zarr/.zgroup", "zarr/e%20x/s.1/.zattrs", "zarr/e%20x/s.1/d/x/0"])
def test_what_is_no_channel_is_missing(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/{path}")
    assert answer.status_code == 404
    assert "An address is EXPERIMENT/SAMPLE/DATASET/CHANNEL." in answer.text


def test_the_counts_of_a_dataset(client: httpx.Client) -> None:
    same(client, "/browse/e%20x::s.1::d", "/browse/e%20x/s.1/d")


@pytest.mark.parametrize("address", ["e x/s.1/d/mesh", "mesh"])
def test_edits(client: httpx.Client, address: str) -> None:
    base = str(client.base_url).replace("http", "ws")
    said = []
    for place in ("e x::s.1::d/mesh", address):
        with websockets.connect(f"{base}/ws/{quote(place)}") as socket:
            said.append(socket.recv())
    assert said[0] == said[1]
