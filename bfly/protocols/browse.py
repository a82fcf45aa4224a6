"""Requests of the web pages: the list of all channels, their metadata, thumbnails and settings.

The list comes from the configuration alone. A page requests the metadata of a channel when it
scrolls into view, so files are opened one by one. A file that cannot be opened affects no other.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.config.config_file import is_writable, line_of, with_voxel_size, write_voxel_size
from bfly.errors import Absent, BadRequest, NotAllowed
from bfly.protocols.protocol import (
    Protocol,
    by_token,
    channel_words,
    dataset_named,
    labelled_words,
)
from bfly.protocols.ready import FinishedQuery
from bfly.queries.overview import ChannelQuery, ContrastQuery, CountsQuery, ThumbnailQuery
from bfly.sources.shared.net import SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["Browse"]

log = logging.getLogger(__name__)

FIXED = (
    "The configuration cannot be changed from here: the server was not started by one process "
    "from a YAML file that can be written."
)

_CHANGING = threading.Lock()
"""Held while the file is changed: changes at the same time would lose one."""


class Browse(Protocol):
    """``/browse``, ``/browse/{experiment}/{sample}/{dataset}``, ``/browse/{address}[/…]``."""

    prefixes: ClassVar[tuple[str, ...]] = ("browse",)
    largest_body: ClassVar[int] = 1024

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        if not path:
            return FinishedQuery(self._list(), "application/json")
        if token := self.config.addresses.former_dataset(path):
            dataset = dataset_named(self.config, token)
            return CountsQuery(path=dataset.path, **labelled_words(dataset))
        channel, rest = by_token(self.config, path)
        words = channel_words(channel)
        match rest:
            case "":
                return ChannelQuery(name=channel.name, table=self._table(path), **words)
            case "thumbnail":
                return ThumbnailQuery(**words)
            case "contrast":
                return ContrastQuery(**words)
        raise Absent(f"There is no {rest} below a channel, only thumbnail and contrast.")

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        """Write the voxel size of a channel, ``[x, y, z]`` in nanometres, to the configuration."""
        channel, rest = by_token(self.config, path)
        if rest != "voxel_size":
            raise Absent(f"Nothing can be posted to /browse/{path}, only to …/voxel_size.")
        size = _size(body)
        token = self.config.addresses.former(path).partition("/")[0]
        with _CHANGING:
            if not is_writable(self.config_file):
                raise NotAllowed(f"{FIXED} At the channel, {channel.name}, add: {line_of(size)}")
            experiment, sample, dataset = token.split("::")
            names = experiment, sample, dataset, channel.name
            write_voxel_size(str(self.config_file), names, size)
            self.config = with_voxel_size(self.config, names, size)
        log.info("%s: %s has the voxel size %s nm (zyx)", self.config_file, path, size)
        return FinishedQuery(json.dumps({"voxel_size": size[::-1]}).encode(), "application/json")

    def _table(self, path: str) -> str | None:
        """Return the name for graphene clients of the channel, or the branch, at a path."""
        token, _, name = self.config.addresses.former(path).partition("/")
        experiment, sample, dataset = token.split("::")
        return self.config.graphene_tables.table((experiment, sample, dataset, name))

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
        may_write = is_writable(self.config_file)
        return json.dumps({"datasets": datasets, "may_write": may_write}).encode()


def _size(body: bytes) -> tuple[float, float, float]:
    """Return the voxel size (z, y, x) of a request, which has it in the order x, y, z."""
    try:
        values = json.loads(body)
        x, y, z = (float(value) for value in values)
    except (ValueError, TypeError, RecursionError):
        raise BadRequest(f"{body[:100]!r} is not three numbers [x, y, z].") from None
    least, most = SIZES
    if not all(least <= side <= most for side in (x, y, z)):
        raise BadRequest(f"The voxel size is {[x, y, z]} nm; allowed are {least:g} to {most:g}.")
    return z, y, x
