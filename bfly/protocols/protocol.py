"""The contract of a protocol: routes in, a query out, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import Absent, BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config import Config
    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery
    from bfly.tree import Channel

__all__ = ["Protocol", "by_token", "channel_words", "named"]


class Protocol(ABC):
    """Base of all protocols.

    Parameters
    ----------
    config : Config
        What is served.
    """

    prefixes: ClassVar[tuple[str, ...]]
    """The first parts of the paths that the protocol answers."""

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
            What stands behind the question mark.

        Raises
        ------
        BadRequest
            A part has a value that is not allowed.
        Absent
            There is nothing at this path.
        """


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
    match token.split("::"):
        case [experiment, sample, dataset]:
            return config.find(experiment, sample, dataset, name), rest
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
