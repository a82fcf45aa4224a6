"""Addresses of channels: ``experiment/sample/dataset/channel``, or its end where that is unique.

A path begins with an address and goes on with a file below the channel. No name has a ``/``, so the
address is the longest beginning of the path that names a channel: all four names first, then the
last three, two, or one. A short address is refused if it is that of several channels, or if one of
another channel begins with it: a file below the first could not be told from the second.

After the last name, ``@`` and the name of a branch, a snapshot or a past state may follow
(`bfly.edits.line_names`). A channel whose own name has an ``@`` comes first.

The former form of an address, ``experiment::sample::dataset/channel``, is known by its ``::``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from bfly.errors import Absent, BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bfly.config.tree import Dataset, Experiment

__all__ = ["FORM", "GROUP", "Addresses", "Names", "ends", "lines_in"]

Names = tuple[str, str, str, str]
"""Names of experiment, sample, dataset and channel."""

FORM = "EXPERIMENT/SAMPLE/DATASET/CHANNEL"

GROUP = "-all"
"""End of the name of a group, after the name of any of its channels (`protocols.channel_group`)."""

LISTED = 20
"""Names that a message lists."""


class Addresses:
    """The addresses of all channels, and of groups of channels.

    Parameters
    ----------
    experiments : sequence of Experiment
        The configured tree.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self._experiments = experiments

    def former(self, path: str) -> str:
        """Return a path with the former address of the channel that it begins with.

        Parameters
        ----------
        path : str
            ``address/file``. A path with a former address is returned unchanged.

        Raises
        ------
        Absent
            The path begins with no address.
        BadRequest
            It begins with a short one that may mean several channels; the message lists them.
        """
        parts = path.split("/", 4)
        if "::" in parts[0]:
            return path
        for count in range(min(4, len(parts)), 0, -1):
            address = "/".join(parts[:count])
            for channel_address, line in [(address, ""), *lines_in(address)]:
                if found := self._known.get(channel_address):
                    if len(found) > 1:
                        full = _listed(sorted(map("/".join, found)))
                        raise BadRequest(f"{channel_address} may mean {full}: write one of them.")
                    experiment, sample, dataset, channel = found[0]
                    name = f"{channel}@{line}" if line else channel
                    rest = [f"{experiment}::{sample}::{dataset}", name, *parts[count:]]
                    return "/".join(rest)
        raise Absent(self._missing(parts))

    def former_dataset(self, path: str) -> str | None:
        """Return ``experiment::sample::dataset`` for a path that is a dataset's; None if not."""
        if "/" not in path and "::" in path:
            return path
        return self._datasets.get(path)

    @cached_property
    def _known(self) -> Mapping[str, Sequence[Names]]:
        """Channels that an address may mean."""
        channels = list(self._channels())
        known: dict[str, dict[Names, None]] = defaultdict(dict)
        for names in channels:
            for end in ends(names):
                known["/".join(end)][names] = None
        for names in channels:
            for end in ends(names):
                for count in range(1, len(end)):
                    if (start := "/".join(end[:count])) in known:
                        known[start][names] = None
        return {address: tuple(found) for address, found in known.items()}

    @cached_property
    def _datasets(self) -> Mapping[str, str]:
        return {"/".join(names): "::".join(names) for names, _ in self._each()}

    def _each(self) -> Iterator[tuple[tuple[str, str, str], Dataset]]:
        for experiment in self._experiments:
            for sample in experiment.samples:
                for dataset in sample.datasets:
                    yield (experiment.name, sample.name, dataset.name), dataset

    def _channels(self) -> Iterator[Names]:
        """Yield all channels, and the groups of those that share a file."""
        for names, dataset in self._each():
            files = [
                {channel.path, channel.path.rpartition("#")[0]} for channel in dataset.channels
            ]
            times = Counter(file for both in files for file in both if file)
            found = {channel.name: None for channel in dataset.channels}
            for channel, both in zip(dataset.channels, files, strict=True):
                if any(times[file] > 1 for file in both):
                    found.setdefault(channel.name + GROUP)
            for name in found:
                yield *names, name

    def _missing(self, parts: Sequence[str]) -> str:
        """Return the message that no channel is at a path: how far it leads, and what is there."""
        above: tuple[str, ...] = ()
        there = [
            (*names, channel.name) for names, found in self._each() for channel in found.channels
        ]
        for part in parts:
            below = [names for names in there if names[len(above)] == part]
            if not below:
                break
            above, there = (*above, part), below
        names = _listed(sorted({names[len(above)] for names in there}))
        where = "/".join(above) + " has" if above else "the experiments are"
        return f"There is no channel at {'/'.join(parts)}; {where} {names}. An address is {FORM}."


def lines_in(name: str) -> Iterator[tuple[str, str]]:
    """Yield what may be the name of a channel, and that of a line behind an ``@``."""
    parts = name.split("@")
    for count in range(len(parts) - 1, 0, -1):
        channel, line = "@".join(parts[:count]), "@".join(parts[count:])
        if channel and line and "/" not in line:
            yield channel, line


def ends(names: Names) -> list[tuple[str, ...]]:
    """Return the names by which a channel may be called, the shortest first."""
    return [names[-count:] for count in range(1, 5)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
