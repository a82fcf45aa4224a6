"""BossDB: collections, experiments, channels, coordinate frames, cutouts and ids of labels.

A collection is Butterfly's experiment; an experiment of it is ``sample::dataset``; a channel is a
channel. The coordinate frame of an experiment is named ``experiment::sample::dataset``. It is
read-only, like all protocols. Documentation: https://docs.theboss.io/docs. The bodies follow
the clients intern and Neuroglancer (``src/datasource/boss``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, BadRequest
from bfly.protocols.boss_queries import (
    BossChannelQuery,
    BossCutoutQuery,
    BoundsQuery,
    DownsampleQuery,
    ExperimentQuery,
    FrameQuery,
    IdsQuery,
    ReserveQuery,
)
from bfly.protocols.protocol import Protocol, by_token, channel_words, dataset_words, tokens
from bfly.queries.info import WordsQuery
from bfly.validation import one_of, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.config.tree import Channel
    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["BossDB"]

FORMATS = {
    "application/blosc": "blosc",
    "application/npygz": "npygz",
    "image/jpeg": "jpeg",
}
"""From the ``Accept`` header to the format of a cutout; the first one is the default."""

MOST = 2**64 - 1
"""Highest label: labels have 64 bits."""

SERVICES = ("boundingbox", "collection", "coord", "cutout", "downsample", "ids", "meta", "reserve")

_SPAN = re.compile(r"(-?[0-9]{1,18}):(-?[0-9]{1,18})")


class BossDB(Protocol):
    """``/v1/…`` and ``/latest/…``."""

    prefixes: ClassVar[tuple[str, ...]] = ("v1", "latest")
    offers: ClassVar[tuple[str, ...]] = tuple(FORMATS)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        service, *parts = [part for part in path.split("/") if part] or [""]
        match service, parts:
            case "collection", _:
                return self._collection(parts)
            case "coord", []:
                return WordsQuery({"coords": tokens(self.config)})
            case "coord", [frame]:
                return FrameQuery(**dataset_words(self.config, frame))
            case "downsample", [collection, experiment, channel]:
                self._channel(collection, experiment, channel)
                words = dataset_words(self.config, f"{collection}::{experiment}")
                return DownsampleQuery(name=channel, **words)
            case "meta", [_, *_]:
                return self._meta(parts, parameters)
            case _, [collection, experiment, channel, *rest]:
                words = channel_words(self._channel(collection, experiment, channel))
                return self._volume(service, rest, parameters, words)
        raise _absent(path)

    def _collection(self, parts: Sequence[str]) -> InfoQuery:
        """Return a query for names, or for one collection, experiment or channel."""
        match parts:
            case []:
                names = [experiment.name for experiment in self.config.experiments]
                return WordsQuery({"collections": names})
            case [collection]:
                names = self._experiments(collection)
                about = {"name": collection, "description": "", "creator": ""}
                return WordsQuery({**about, "experiments": names})
            case [collection, "experiment"]:
                return WordsQuery({"experiments": self._experiments(collection)})
            case [collection, "experiment", experiment]:
                words = dataset_words(self.config, f"{collection}::{experiment}")
                return ExperimentQuery(**words)
            case [collection, "experiment", experiment, "channel"]:
                words = dataset_words(self.config, f"{collection}::{experiment}")
                return WordsQuery({"channels": [channel["name"] for channel in words["channels"]]})
            case [collection, "experiment", experiment, "channel", name]:
                channel = self._channel(collection, experiment, name)
                description = channel.short_description or ""
                return BossChannelQuery(description, name=name, **channel_words(channel))
        raise _absent(f"collection/{'/'.join(parts)}")

    def _volume(
        self,
        service: str,
        rest: Sequence[str],
        parameters: Mapping[str, str],
        words: dict[str, Any],
    ) -> DataQuery:
        """Return a query for the voxels or labels of a channel."""
        match service, rest:
            case "cutout", [mip, x, y, z, *time]:
                texts = parameters["filter"].split(",") if "filter" in parameters else []
                labels = [whole_number("filter", label, 0, MOST) for label in texts]
                file = FORMATS[parameters.get("accept", "application/blosc")]
                box = _box(x, y, z, time)
                return BossCutoutQuery(labels, format=file, resolution=mip, **box, **words)
            case "ids", [mip, x, y, z, *time]:
                return IdsQuery(resolution=mip, **_box(x, y, z, time), **words)
            case "boundingbox", [mip, label]:
                tight = one_of("type", parameters.get("type", "loose"), ("loose", "tight"))
                number = whole_number("id", label, 0, MOST)
                return BoundsQuery(tight == "tight", number, resolution=mip, **words)
            case "reserve", [count]:
                return ReserveQuery(whole_number("number of ids", count, 1, MOST), **words)
        raise _absent(f"{service}/…/{'/'.join(rest)}")

    def _meta(self, names: Sequence[str], parameters: Mapping[str, str]) -> InfoQuery:
        """Return the metadata keys of a collection, an experiment or a channel: always none."""
        match names:
            case [collection]:
                self.config.experiment(collection)
            case [collection, experiment]:
                dataset_words(self.config, f"{collection}::{experiment}")
            case [collection, experiment, channel]:
                self._channel(collection, experiment, channel)
            case _:
                raise _absent(f"meta/{'/'.join(names)}")
        if "key" in parameters:
            raise Absent(f"There is no key {parameters['key']}: no metadata is stored by key.")
        return WordsQuery({"keys": []})

    def _experiments(self, collection: str) -> list[str]:
        samples = self.config.experiment(collection).samples
        return [
            f"{sample.name}::{dataset.name}" for sample in samples for dataset in sample.datasets
        ]

    def _channel(self, collection: str, experiment: str, name: str) -> Channel:
        return by_token(self.config, f"{collection}::{experiment}/{name}")[0]


def _absent(path: str) -> Absent:
    return Absent(f"There is no {path} in the BossDB API; the services are {list(SERVICES)}.")


def _box(x: str, y: str, z: str, time: Sequence[str]) -> dict[str, int]:
    """Parse ranges. The only time sample is 0."""
    if time not in ([], ["0:1"]):
        raise BadRequest(f"The range of time {'/'.join(time)} is not 0:1.")
    (x_start, width), (y_start, height), (z_start, depth) = map(_span, "xyz", (x, y, z))
    start = {"z": z_start, "y": y_start, "x": x_start}
    return {**start, "depth": depth, "height": height, "width": width}


def _span(axis: str, text: str) -> tuple[int, int]:
    """Parse ``start:stop`` into the start and the extent."""
    span = _SPAN.fullmatch(text)
    if span is None or int(span[1]) >= int(span[2]):
        raise BadRequest(f"The range of {axis} {text} is not start:stop with start below stop.")
    return int(span[1]), int(span[2]) - int(span[1])
