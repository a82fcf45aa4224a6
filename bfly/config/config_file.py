"""Changes of a configuration in its YAML file, which keep comments, order and layout.

A change is made in the text. It is written only if the file then has that change and no other.
"""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import yaml

from bfly.config import rh_config
from bfly.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.config.config import Config

    Names = tuple[str, str, str, str]
    VoxelSize = tuple[float, float, float]

__all__ = ["is_writable", "line_of", "with_voxel_size", "write_voxel_size"]

KEY = "voxel_size"

LEVELS = ("experiments", "samples", "datasets", "channels")


def line_of(size: VoxelSize) -> str:
    """Return the line of a channel that states a voxel size (z, y, x)."""
    return f"{KEY}: [{', '.join(f'{side:.10g}' for side in size)}]"


def is_writable(path: str | None) -> bool:
    """Return whether a YAML file exists and can be replaced."""
    if path is None or not os.path.isfile(path):
        return False
    real = os.path.realpath(path)
    return os.access(real, os.W_OK) and os.access(os.path.dirname(real), os.W_OK)


def with_voxel_size(config: Config, names: Names, size: VoxelSize) -> Config:
    """Return a configuration in which a channel has a voxel size; the names are its own."""
    channel = config.find(*names)
    item: Any = channel.model_copy(update={KEY: size})
    above = [config.experiment(names[0]), config.sample(*names[:2]), config.dataset(*names[:3])]
    for holder, level in zip(reversed(above), reversed(LEVELS[1:]), strict=True):
        items = tuple(item if one.name == item.name else one for one in getattr(holder, level))
        item = holder.model_copy(update={level: items})
    items = tuple(item if one.name == item.name else one for one in config.experiments)
    return config.replace(experiments=items)


def write_voxel_size(path: str, names: Names, size: VoxelSize) -> None:
    """Write the voxel size of a channel to a YAML file.

    Parameters
    ----------
    path : str
        The file.
    names : tuple of str
        Names of the experiment, sample, dataset and channel.
    size : tuple of float
        Nanometres (z, y, x).

    Raises
    ------
    ConfigError
        The file cannot be read or written, has no such channel, or states it in a way that
        cannot be changed here, such as an alias. The file is unchanged.
    """
    before, _ = rh_config.read(path)
    text = rh_config.text_of(path)
    after = copy.deepcopy(before)
    node = rh_config.composed(text)
    try:
        _data_of(after, names)[KEY] = yaml.safe_load(line_of(size))[KEY]
        changed = _changed(text, _node_of(node, names), line_of(size))
        is_right = yaml.load(changed, rh_config.LOADER) == after
    except (LookupError, StopIteration, TypeError, ValueError, yaml.YAMLError):
        is_right = False
    if not is_right:
        channel = "/".join(names)
        raise ConfigError(
            f"{path}: {channel} is not written there in a way that can be changed automatically."
        )
    rh_config.write_text(path, changed)


def _data_of(data: Any, names: Sequence[str]) -> Any:
    """Return the mapping of a channel in the content of a file."""
    place = data["bfly"]
    for level, name in zip(LEVELS, names, strict=True):
        place = next(item for item in place[level] if item["name"] == name)
    return place


def _node_of(root: yaml.Node | None, names: Sequence[str]) -> yaml.MappingNode:
    """Return the node of a channel."""
    place = _value(root, "bfly")
    for level, name in zip(LEVELS, names, strict=True):
        items = _value(place, level).value
        place = next(item for item in items if _value(item, "name").value == name)
    if not isinstance(place, yaml.MappingNode):
        raise TypeError(place)
    return place


def _value(node: Any, key: str) -> Any:
    return next(value for name, value in node.value if name.value == key)


def _changed(text: str, channel: yaml.MappingNode, line: str) -> str:
    """Return the text with a line in a channel, instead of one with the same key."""
    for name, value in channel.value:
        if name.value == KEY:
            last = value
            while isinstance(last, yaml.SequenceNode) and not last.flow_style and last.value:
                last = last.value[-1]
            return text[: name.start_mark.index] + line + text[last.end_mark.index :]
    # Behind the first key, which usually is the name.
    second = channel.value[1][0].start_mark
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = ", " if channel.flow_style else newline + " " * second.column
    return text[: second.index] + line + gap + text[second.index :]
