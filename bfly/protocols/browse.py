"""Requests of the web pages: the list of all channels, their metadata and thumbnails.

The list comes from the configuration alone. A page requests the metadata of a channel when it
scrolls into view, so files are opened one by one. A file that cannot be opened affects no other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.protocol import Protocol, by_token, channel_words, dataset_named
from bfly.protocols.ready import FinishedQuery
from bfly.queries.overview import ChannelQuery, ContrastQuery, CountsQuery, ThumbnailQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["Browse"]


class Browse(Protocol):
    """``/browse``, ``/browse/{experiment::sample::dataset}[/{channel}[/…]]``."""

    prefixes: ClassVar[tuple[str, ...]] = ("browse",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        if not path:
            return FinishedQuery(self._list(), "application/json")
        if "/" not in path:
            dataset = dataset_named(self.config, path)
            return CountsQuery(path=dataset.path, labelled=dataset.channel_paths)
        channel, rest = by_token(self.config, path)
        words = channel_words(channel)
        match rest:
            case "":
                return ChannelQuery(name=channel.name, **words)
            case "thumbnail":
                return ThumbnailQuery(**words)
            case "contrast":
                return ContrastQuery(**words)
        raise Absent(f"There is no {rest} below a channel, only thumbnail and contrast.")

    def _list(self) -> bytes:
        datasets = [
            {
                "experiment": experiment.name,
                "sample": sample.name,
                "dataset": dataset.name,
                "channels": [
                    {"name": channel.name, "description": channel.short_description or ""}
                    for channel in dataset.channels
                ],
            }
            for experiment in self.config.experiments
            for sample in experiment.samples
            for dataset in sample.datasets
        ]
        return json.dumps({"datasets": datasets}).encode()
