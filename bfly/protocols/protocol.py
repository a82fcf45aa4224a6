"""The contract of a protocol: it turns the path and parameters of a URL into a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import Absent, BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.config.tree import Channel, Dataset, Kind
    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = [
    "Protocol",
    "by_token",
    "channel_words",
    "dataset_named",
    "dataset_words",
    "named",
    "tokens",
    "words_beside",
]


KINDS: Mapping[str | None, Kind] = {"jpeg": "image", "compressed_segmentation": "segmentation"}
"""Kinds that the `encoding` in the configuration implies: others could not be encoded so."""


class Protocol(ABC):
    """Base of all protocols.

    Parameters
    ----------
    config : Config
        Configuration with the served channels.
    """

    prefixes: ClassVar[tuple[str, ...]]
    """First path segments that are dispatched to the protocol.

    One of two segments, ``api/node``, takes these paths from the protocol of the first segment. The
    path that it is given then begins with the second.
    """

    offers: ClassVar[tuple[str, ...]] = ()
    """Media types from which the ``Accept`` header may choose."""

    immediate: ClassVar[bool] = False
    """Whether it answers in the event loop, even while all threads are busy."""

    needs_address: ClassVar[bool] = False
    """Whether `query` needs the address of the server as the client sees it: scheme, host and
    port, as the parameter ``address``."""

    largest_body: ClassVar[int] = 0
    """Largest body of a request in bytes; 0 if POST is not supported."""

    errors_are_json: ClassVar[bool] = False
    """Whether an error is ``{"message": …}`` rather than plain text."""

    config_file: str | None = None
    """The YAML file of the configuration, if this server may change it; set by the server."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        """Return the query of a URL.

        Parameters
        ----------
        path : str
            Decoded path, without the prefix and its slash.
        parameters : mapping
            Parameters of the query string. ``accept`` is the media type of `offers` that the
            header chooses, if it chooses one; ``body`` is the body of a GET with one.

        Raises
        ------
        BadRequest
            A part has a value that is not allowed.
        Absent
            There is nothing at this path.
        """

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the HTTP methods that a path takes, besides OPTIONS."""
        return ("GET", "HEAD", "POST") if self.largest_body else ("GET", "HEAD")

    def takes_body(self, path: str) -> bool:
        """Return whether a GET of a path has a body, against the custom of HTTP."""
        return False

    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        """Handle a POST request and return a query for its answer.

        If it replaces `config`, all protocols of the server use the new one from then on.

        Parameters
        ----------
        path : str
            As for `query`.
        body : bytes
            At most `largest_body` bytes.
        address : str
            Address of the server as the client sees it: scheme, host and port.
        parameters : mapping
            Parameters of the query string.

        Raises
        ------
        BadRequest, Absent
            As for `query`.
        """
        raise NotImplementedError


def channel_words(channel: Channel) -> dict[str, Any]:
    """Return the words that all queries about a channel share."""
    words = {
        "path": channel.path,
        "voxel_offset": channel.first_voxel,
        "kind": channel.kind or KINDS.get(channel.encoding),
        "voxel_size": channel.voxel_size,
    }
    return {**words, "line": channel.line} if channel.line else words


def words_beside(channel: Channel, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the words, with the name, of each other channel of the dataset of a channel."""
    others = (each for each in dataset.channels if each.path != channel.path)
    return [{"name": each.name, **channel_words(each)} for each in others]


def labelled_words(dataset: Dataset) -> dict[str, Any]:
    """Return the words of a query for neurons and synapses: channels whose edits may apply."""
    channels = [channel_words(channel) for channel in dataset.channels]
    return {"labelled": dataset.channel_paths, "channels": channels}


def by_token(config: Config, path: str) -> tuple[Channel, str]:
    """Find the channel whose address a path begins with.

    Parameters
    ----------
    config : Config
        The served channels.
    path : str
        ``experiment/sample/dataset/channel/…``, its end from any of the names on, or the former
        ``experiment::sample::dataset/channel/…``: see `bfly.config.addresses`. The channel may be
        ``channel@line``.

    Returns
    -------
    channel : Channel
        Channel of the configuration.
    rest : str
        Rest of the path.

    Raises
    ------
    Absent
        The path begins with no address.
    BadRequest
        A short address is not unique, or a name of the former form does not exist.
    """
    token, _, rest = config.addresses.former(path).partition("/")
    name, _, rest = rest.partition("/")
    return config.find(*_names(token), name), rest


def dataset_named(config: Config, token: str) -> Dataset:
    """Find the dataset ``experiment::sample::dataset``; errors as in `by_token`."""
    return config.dataset(*_names(token))


def dataset_words(config: Config, token: str) -> dict[str, Any]:
    """Return the words of a query about the dataset ``experiment::sample::dataset``.

    Raises
    ------
    Absent, BadRequest
        As in `by_token`.
    """
    channels = dataset_named(config, token).channels
    words = [{"name": channel.name, **channel_words(channel)} for channel in channels]
    return {"dataset": token, "channels": words}


def tokens(config: Config) -> list[str]:
    """Return the tokens of all datasets, ``experiment::sample::dataset``."""
    return [
        f"{experiment.name}::{sample.name}::{dataset.name}"
        for experiment in config.experiments
        for sample in experiment.samples
        for dataset in sample.datasets
    ]


def _names(token: str) -> tuple[str, str, str]:
    match token.split("::"):
        case [experiment, sample, dataset]:
            return experiment, sample, dataset
    raise Absent(f"{token} is not experiment::sample::dataset.")


def named(parameters: Mapping[str, str], name: str) -> str:
    """Return a required parameter.

    Raises
    ------
    BadRequest
        The parameter is missing.
    """
    if name not in parameters:
        raise BadRequest(f"The {name} is missing.")
    return parameters[name]
