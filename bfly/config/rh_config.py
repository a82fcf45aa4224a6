"""The YAML file that the tools of one laboratory share: its path and its content.

Butterfly reads the root ``bfly:``; other programs have their own roots beside it.
``rh_config.config`` is the whole file, read again at each access, or ``{}`` if there is no file;
``rh_config.config_filename`` is its path.
"""

from __future__ import annotations

import os
import stat
from itertools import chain
from typing import TYPE_CHECKING, Any

import yaml

from bfly.errors import ConfigError, Oversized
from bfly.storage.limits import METADATA, check_length

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    *("config", "config_filename", "default_path", "load", "read", "write"),
    *("LOADER", "composed", "text_of", "write_text"),
]

config: dict[str, Any]
config_filename: str

DEFAULT = "~/.rh-config.yaml"

ALIASED = 1_000_000
"""Values that aliases may add to a file: nested aliases could expand beyond all memory."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Loader of files; it constructs only plain values."""

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def __getattr__(name: str) -> Any:
    if name == "config":
        return load()[1]
    if name == "config_filename":
        return default_path()
    raise AttributeError(f"module 'bfly.config.rh_config' has no attribute {name!r}")


def default_path() -> str:
    """Return the path in ``RH_CONFIG_FILENAME``, or else ``~/.rh-config.yaml``."""
    return _path(DEFAULT)


def _path(otherwise: str) -> str:
    return os.path.expanduser(os.environ.get("RH_CONFIG_FILENAME") or otherwise)


def load(default_path: str = DEFAULT) -> tuple[str, dict[str, Any]]:
    """Read the file that ``RH_CONFIG_FILENAME`` names, or else another.

    Parameters
    ----------
    default_path : str
        The other file.

    Returns
    -------
    path : str
        The path of the file.
    config : dict
        Its content; ``{}`` if there is no such file.

    Raises
    ------
    ConfigError
        As `read`, and if a key appears twice.
    """
    path = _path(default_path)
    if not os.path.exists(path):
        return path, {}
    data, repeated = read(path)
    if repeated:
        raise ConfigError("\n".join(repeated))
    return path, data


def read(path: str) -> tuple[dict[str, Any], list[str]]:
    """Read a YAML file that has a mapping as its root.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    data : dict
        The content. A key that appears twice has its last value.
    repeated : list of str
        One line for every key that appears twice.

    Raises
    ------
    ConfigError
        There is no such file, it is empty or not YAML, or its root is not a mapping.
    """
    try:
        with open(path, "rb") as file:
            loader = LOADER(file)
            try:
                check_length(path, os.fstat(file.fileno()).st_size, METADATA)
                node = loader.get_single_node()
                sizes: dict[int, int] = {}
                if node is not None and _size(node, sizes) - len(sizes) > ALIASED:
                    raise ConfigError(
                        f"{path}: its aliases stand for more than {ALIASED} values; write a value "
                        "out where it is needed."
                    )
                data = None if node is None else loader.construct_document(node)
                repeated = [] if node is None else list(_repeated(node, "", set()))
            finally:
                loader.dispose()
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {error.strerror}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path}: {where}this is not YAML: {error.problem}.") from error
    except Oversized as error:
        raise ConfigError(str(error)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: its values are nested too deeply.") from error
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: this is not YAML: {reason}.") from error
    if node is None or data is None:
        raise ConfigError(f"{path}: it is empty; needed is a mapping with the key bfly.")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}: its root is a {type(data).__name__}; needed is a mapping with the key bfly."
        )
    return data, [f"{path}: {line}" for line in repeated]


def write(path: str, data: dict[str, Any]) -> None:
    """Write a YAML file atomically.

    Parameters
    ----------
    path : str
        The file; an existing one is replaced.
    data : dict
        Mappings, lists, text, numbers, booleans and None.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    write_text(path, yaml.dump(data, None, _Dumper, sort_keys=False, allow_unicode=True))


def text_of(path: str) -> str:
    """Return the text of a file that `read` has read, with its line ends."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: it cannot be read as UTF-8.") from error


def composed(text: str) -> yaml.Node | None:
    """Return the tree of a YAML text, with the place of each node in it."""
    node: yaml.Node | None = yaml.compose(text, LOADER)
    return node


def write_text(path: str, text: str) -> None:
    """Write a text file atomically; errors as `write`."""
    real = os.path.realpath(path)
    draft = f"{real}.{os.getpid()}.tmp"
    try:
        with open(draft, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if os.path.exists(real):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(real).st_mode))
        os.replace(draft, real)
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be written: {error.strerror}.") from error


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the values of an expanded node: values behind an alias count each time.

    Parameters
    ----------
    sizes : dict
        The counts of nodes so far, by their id; 1 for the parents of this node.
    """
    size = sizes.get(id(node))
    if size is None:
        # A node that contains itself is refused later, when the values are checked.
        sizes[id(node)] = 1
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        if isinstance(node, yaml.MappingNode):
            inner = chain.from_iterable(inner)
        size = sizes[id(node)] = 1 + sum(_size(child, sizes) for child in inner)
    return size


def _repeated(node: yaml.Node, key: str, seen: set[int]) -> Iterator[str]:
    """Yield a message for each key below a node that its mapping has twice."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, f"{key}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for name, value in node.value:
            inner = f"{key}.{name.value}".lstrip(".")
            if (name.tag, str(name.value)) in names:
                line = name.start_mark.line + 1
                yield f"{inner} is there again in line {line}; allowed is each key once."
            names.add((name.tag, str(name.value)))
            yield from _repeated(value, inner, seen)
