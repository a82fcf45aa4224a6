"""Look-up of channels by the names on a command line."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from bfly.config.addresses import ends, lines_in
from bfly.errors import ConfigError

if TYPE_CHECKING:
    from bfly.config.addresses import Names
    from bfly.config.config import Config
    from bfly.config.tree import Channel

__all__ = ["channel_named", "short_names"]


def short_names(config: Config) -> dict[Names, str]:
    """Return the shortest unambiguous name of each channel.

    Returns
    -------
    dict
        The names of experiment, sample, dataset and channel → the last of them, joined by
        ``/``, as many as are needed.
    """
    times = Counter(end for names in config.channels for end in ends(names))
    return {
        names: "/".join(next(end for end in ends(names) if times[end] == 1))
        for names in config.channels
    }


def channel_named(config: Config, text: str, may_be_line: bool = False) -> tuple[Names, Channel]:
    """Return a channel by its name, with as many names before it as are needed.

    Parameters
    ----------
    config : Config
        The configuration that lists the channels.
    text : str
        ``channel``, ``dataset/channel`` and so on, up to the form in addresses:
        ``experiment/sample/dataset/channel``; the former ``experiment::sample::dataset/channel``
        is as good.
    may_be_line : bool
        Whether ``@`` and the name of a branch, a snapshot or a past state may follow.

    Raises
    ------
    ConfigError
        No channel has the name, or several have; the message lists up to 20 channels.
    """
    matches = _ending(config, tuple(re.split("::|/", text)))
    if len(matches) == 1:
        return matches[0], config.channels[matches[0]]
    for name, line in lines_in(text) if may_be_line and not matches else ():
        if _ending(config, tuple(re.split("::|/", name))):
            names, channel = channel_named(config, name)
            return names, channel.on_line(line)
    short = short_names(config)
    listed = [short[names] for names in matches or config.channels]
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    wrong = "is the name of several channels" if matches else "is not the name of a channel"
    raise ConfigError(f"{text} {wrong}; allowed are {', '.join(listed[:20])}{more}.")


def _ending(config: Config, names: tuple[str, ...]) -> list[Names]:
    return [key for key in config.channels if key[-len(names) :] == names]
