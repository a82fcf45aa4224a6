"""Addresses of channels: a walk through the tree of names, the longest first."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bfly.config.addresses import Addresses, ends
from bfly.config.config import Config
from bfly.errors import Absent, BadRequest

WORDS = ["info", "s0", "mesh", ".zattrs", "labels", "0", "a b", "a%2Fb", "em", "é", "x.zarr", "c"]
"""Names that are files of a protocol, or have to be quoted in a URL."""

FILES = ["", "/info", "/s0/attributes.json", "/labels/em/0/.zarray", "/mesh/info", "/0/0-1_0-1_0-1"]

names = st.sampled_from(WORDS) | st.text("ab.: %", min_size=1, max_size=3).filter(
    lambda text: text.strip() and "::" not in text and text == text.strip(":") and text.strip(".")
)
trees = st.sets(st.tuples(names, names, names, names), min_size=1, max_size=8)


def config(channels: set[tuple[str, str, str, str]]) -> Config:
    """Return the configuration of a tree."""
    tree: dict[str, dict[str, dict[str, list[str]]]] = {}
    for experiment, sample, dataset, channel in sorted(channels):
        datasets = tree.setdefault(experiment, {}).setdefault(sample, {})
        datasets.setdefault(dataset, []).append(channel)
    return Config.model_validate(
        {
            "experiments": [
                {
                    "name": experiment,
                    "samples": [
                        {
                            "name": sample,
                            "datasets": [
                                {
                                    "name": dataset,
                                    "path": "/d",
                                    "channels": [
                                        {"name": c, "path": f"/{experiment}|{sample}|{dataset}|{c}"}
                                        for c in found
                                    ],
                                }
                                for dataset, found in datasets.items()
                            ],
                        }
                        for sample, datasets in samples.items()
                    ],
                }
                for experiment, samples in tree.items()
            ]
        }
    )


def former(channel: tuple[str, ...]) -> str:
    return f"{'::'.join(channel[:3])}/{channel[3]}"


@given(trees, st.sampled_from(FILES))
def test_full_and_former_addresses_find_the_channel(
    channels: set[tuple[str, str, str, str]], file: str
) -> None:
    addresses = config(channels).addresses
    for channel in channels:
        assert addresses.former("/".join(channel) + file) == former(channel) + file
        assert addresses.former(former(channel) + file) == former(channel) + file


@given(trees, st.sampled_from(FILES))
def test_a_short_address_finds_its_channel_or_is_refused_with_the_choices(
    channels: set[tuple[str, str, str, str]], file: str
) -> None:
    addresses = config(channels).addresses
    times = Counter(end for channel in channels for end in ends(channel))
    for channel in channels:
        for end in ends(channel)[:3]:
            begun = {
                other
                for other in channels
                for longer in ends(other)
                if longer != end and end in accumulate((name,) for name in longer)
            }
            if times[end] == 1 and begun <= {channel}:
                assume(not any(_goes_on(end, file, other) for other in channels))
                assert addresses.former("/".join(end) + file) == former(channel) + file
            else:
                with pytest.raises(BadRequest, match="write one of them") as error:
                    addresses.former("/".join(end))
                assert "/".join(channel) in str(error.value)


def _goes_on(end: tuple[str, ...], file: str, channel: tuple[str, str, str, str]) -> bool:
    """Return whether an address with a file is the longer address of a channel."""
    path = (*end, *filter(None, file.split("/")))
    return any(path[: len(longer)] == longer for longer in ends(channel) if longer != end)


def test_a_channel_named_as_a_file_of_another_is_not_taken_for_it() -> None:
    addresses = config({("e", "s", "d", "em"), ("e", "s", "em", "s0")}).addresses
    assert addresses.former("e/s/d/em/s0/attributes.json") == "e::s::d/em/s0/attributes.json"
    assert addresses.former("e/s/em/s0/attributes.json") == "e::s::em/s0/attributes.json"
    assert addresses.former("em/s0/attributes.json") == "e::s::em/s0/attributes.json"
    with pytest.raises(BadRequest, match="em may mean e/s/d/em, e/s/em/s0: write one of them"):
        addresses.former("em/attributes.json")


def test_the_message_says_how_far_the_names_lead() -> None:
    addresses = config({("e", "s", "d", "em"), ("e", "s", "d", "seg")}).addresses
    for path, there in {
        "x/info": "the experiments are e.",
        "e/s": "e/s has d.",
        "e/s/d/x/info": "e/s/d has em, seg.",
    }.items():
        with pytest.raises(Absent, match=f"There is no channel at {path}; {there}"):
            addresses.former(path)


def test_long_lists_are_cut() -> None:
    channels = {("e", str(number), "d", "em") for number in range(30)}
    with pytest.raises(BadRequest, match="and 10 more: write one of them"):
        config(channels).addresses.former("em/info")
    with pytest.raises(Absent, match="and 10 more"):
        config(channels).addresses.former("e/x")


def test_datasets() -> None:
    addresses = config({("e", "s", "d", "em")}).addresses
    assert addresses.former_dataset("e/s/d") == addresses.former_dataset("e::s::d") == "e::s::d"
    assert addresses.former_dataset("e/s") is None


def test_five_thousand_channels_take_no_time() -> None:
    channels = {(f"e{n % 3}", f"s{n % 7}", f"d{n % 50}", f"c{n}") for n in range(5000)}
    addresses = config(channels).addresses
    assert isinstance(addresses, Addresses)
    assert addresses.former("c4999/info") == "e1::s1::d49/c4999/info"
