"""A file, folder or URL that is a channel itself, named on a command line."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from bfly.config.config import Config
from bfly.config.tree import Channel, Dataset, Experiment, Sample, check_name
from bfly.discovery.names import free_name, name_of
from bfly.discovery.unread import unread_of
from bfly.errors import ConfigError
from bfly.sources.shared.kvstore import check_reachable
from bfly.sources.shared.net import can_open, parts_of
from bfly.sources.tile_source import formats
from bfly.storage.files import Files, is_url, regular
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.sources.source import Datasource

__all__ = ["did_you_mean", "is_data", "is_text", "of_channel", "what_it_is"]

GLANCE = 4096
"""Bytes of a file that decide whether it is text."""

MOST_NAMES = 10_000
"""Names in a folder that are compared with one that does not exist."""


def of_channel(path: str) -> Config | None:
    """Return a configuration with the channels of a file, folder or URL; None if it has none.

    Parameters
    ----------
    path : str
        A channel as in a configuration, also a part of a file (``PATH#volumes/raw``). A URL is
        added to ``allowed-paths``.

    Raises
    ------
    ConfigError
        The name of the file or of its folder cannot be that of a channel or dataset.
    SourceError
        The server of a URL does not answer.
    """
    place, part = split_path(path)
    remote = is_url(place)
    place = place.rstrip("/") if remote else os.path.abspath(os.path.expanduser(place))
    allowed = (os.sep, place) if remote else (os.sep,)
    files = Files(allowed)
    source = _source_of(place)
    if source is None:
        if remote:
            check_reachable(place, files)
        return None
    folder = os.getcwd() if remote else os.path.dirname(place)
    channels: list[Channel] = []
    for each in [part] if part else parts_of(source, place, files):
        name = free_name(name_of(_named(place), each), {channel.name for channel in channels})
        channels.append(Channel(name=name, path=f"{place}#{each}" if each else place))
    name = _named(folder)
    dataset = Dataset(name=name, path=folder, channels=tuple(channels))
    root = Experiment(name="root", samples=(Sample(name=name, datasets=(dataset,)),))
    return Config(experiments=(root,), allowed_paths=allowed) if channels else None


def is_data(path: str) -> bool:
    """Return whether a path is a folder, a URL or a channel, rather than a configuration."""
    place, part = split_path(path)
    return bool(part) or is_url(path) or os.path.isdir(path) or _source_of(place) is not None


def is_text(path: str) -> bool:
    """Return whether a file begins with text, as a configuration does."""
    try:
        with regular(path) as file:
            start = file.read(GLANCE)
    except OSError:
        return True  # reading it as a configuration reports the reason
    return b"\0" not in start


def what_it_is(path: str) -> str:
    """Return why a file that is neither text nor of a format cannot be served."""
    kind = unread_of(
        os.path.basename(path), {end for form in formats().values() for end in form.endings}
    )
    if kind is not None:
        return f"{path} is {kind}."
    return (
        f"{path} is neither a YAML file nor one of the formats {list(formats())} (of images, give "
        "the folder)."
    )


def _source_of(path: str) -> type[Datasource] | None:
    return next((each for each in formats().values() if can_open(each, path)), None)


def _named(path: str) -> str:
    try:
        return check_name(os.path.basename(path))
    except ValueError as error:
        raise ConfigError(f"{path} cannot name a channel: needed is {error}.") from None


def did_you_mean(path: str, words: Iterable[str] = ()) -> str:
    """Return a question with what resembles a path that does not exist; "" if nothing does.

    Parameters
    ----------
    path : str
        A path that was given.
    words : iterable of str
        Other words that may have been meant.
    """
    folder, name = os.path.split(os.path.expanduser(path).rstrip(os.sep))
    try:
        with os.scandir(folder or os.curdir) as listing:
            names = [entry.name for entry, _ in zip(listing, range(MOST_NAMES), strict=False)]
    except OSError:
        names = []
    near = difflib.get_close_matches(name, names, 2)
    meant = [*words, *(os.path.join(folder, each) for each in near)]
    return f" Did you mean {' or '.join(meant)}?" if meant else ""
