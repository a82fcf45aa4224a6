"""The contract of a protocol: routes in, a query out, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import Absent, BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.config.tree import Channel, Dataset
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
]


class Protocol(ABC):
    """Base of all protocols.

    Parameters
    ----------
    config : Config
        What is served.
    """

    prefixes: ClassVar[tuple[str, ...]]
    """The first parts of the paths that the protocol answers."""

    offers: ClassVar[tuple[str, ...]] = ()
    """The media types among which the header ``Accept`` chooses, if it does."""

    immediate: ClassVar[bool] = False
    """Whether the protocol answers by itself, in the event loop: however busy all threads are."""

    largest_body: ClassVar[int] = 0
    """Bytes of what may be posted; 0 if nothing can be."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        """Read what a URL asks for.

        Parameters
        ----------
        path : str
            Decoded, without the prefix and its slash.
        parameters : mapping
            What stands behind the question mark; and as ``accept`` the one of `offers` that
            the header names, if it names one.

        Raises
        ------
        BadRequest
            A part has a value that is not allowed.
        Absent
            There is nothing at this path.
        """

    def post(self, path: str, body: bytes, address: str) -> InfoQuery:
        """Take what is posted, and give a query for the answer.

        Parameters
        ----------
        path : str
            As for `query`.
        body : bytes
            No more than `largest_body`.
        address : str
            The server's, as the client calls it: scheme, host and port.

        Raises
        ------
        BadRequest, Absent
            As `query`.
        """
        raise NotImplementedError


def channel_words(channel: Channel) -> dict[str, Any]:
    """Give the words that every query about a channel begins with."""
    return {
        "path": channel.path,
        "offset": channel.offset,
        "kind": channel.kind,
        "voxel_size": channel.voxel_size,
    }


def by_token(config: Config, path: str) -> tuple[Channel, str]:
    """Find the channel that a path of the form ``experiment::sample::dataset/channel/…`` names.

    Returns
    -------
    channel : Channel
        As configured.
    rest : str
        What follows.

    Raises
    ------
    Absent
        The path does not have that form.
    BadRequest
        A name leads nowhere.
    """
    token, _, rest = path.partition("/")
    name, _, rest = rest.partition("/")
    return config.find(*_names(token), name), rest


def dataset_named(config: Config, token: str) -> Dataset:
    """Find the dataset that ``experiment::sample::dataset`` names; errors as `by_token`."""
    return config.dataset(*_names(token))


def dataset_words(config: Config, token: str) -> dict[str, Any]:
    """Give the words of a query about the dataset that ``experiment::sample::dataset`` names.

    Raises
    ------
    Absent, BadRequest
        As `by_token`.
    """
    channels = dataset_named(config, token).channels
    words = [{"name": channel.name, **channel_words(channel)} for channel in channels]
    return {"dataset": token, "channels": words}


def tokens(config: Config) -> list[str]:
    """Give the tokens of all datasets, ``experiment::sample::dataset``."""
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
    """Give a parameter that has to be there.

    Raises
    ------
    BadRequest
        It is not.
    """
    if name not in parameters:
        raise BadRequest(f"The {name} is missing.")
    return parameters[name]
