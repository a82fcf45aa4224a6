"""Channels by the words of a command line."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from bfly.errors import ConfigError

if TYPE_CHECKING:
    from bfly.config.config import Config
    from bfly.config.tree import Channel

__all__ = ["channel_named", "short_names"]

Names = tuple[str, str, str, str]


def short_names(config: Config) -> dict[Names, str]:
    """Give each channel the shortest name that leads to it alone.

    Returns
    -------
    dict
        From the names of experiment, sample, dataset and channel to as many of the last of
        them, joined by ``/``, as are needed.
    """
    times = Counter(end for names in config.channels for end in _ends(names))
    return {
        names: "/".join(next(end for end in _ends(names) if times[end] == 1))
        for names in config.channels
    }


def channel_named(config: Config, text: str) -> tuple[Names, Channel]:
    """Find a channel by its name, with as many names before it as are needed.

    Parameters
    ----------
    config : Config
        What is served.
    text : str
        ``channel``, ``dataset/channel`` and so on, up to what addresses have:
        ``experiment::sample::dataset/channel``.

    Raises
    ------
    ConfigError
        No channel has the name, or several have; the message lists some that there are.
    """
    found = _ending(config, tuple(re.split("::|/", text)))
    if len(found) == 1:
        return found[0], config.channels[found[0]]
    short = short_names(config)
    listed = [short[names] for names in found or config.channels]
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    wrong = "is the name of several channels" if found else "is not the name of a channel"
    raise ConfigError(f"{text} {wrong}; allowed are {', '.join(listed[:20])}{more}.")


def _ends(names: Names) -> list[tuple[str, ...]]:
    """Give the ends of the names of a channel, the shortest first."""
    return [names[-count:] for count in range(1, 5)]


def _ending(config: Config, names: tuple[str, ...]) -> list[Names]:
    return [each for each in config.channels if each[-len(names) :] == names]
