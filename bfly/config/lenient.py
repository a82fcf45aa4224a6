"""Lenient reading of a configuration, as the first Butterfly read it.

These mistakes are mended, with a note for each: a number or a yes or no that is text, an unknown
key, and a dataset without a path. All others are errors.
"""

from __future__ import annotations

import os
import re
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from bfly.config.error_messages import UNKNOWN, ignored, key_of
from bfly.config.tree import Model, absolute
from bfly.storage.files import is_url
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

    from pydantic_core import ErrorDetails

__all__ = ["checked"]

M = TypeVar("M", bound=Model)

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")

_FLAGS = {
    **dict.fromkeys(("y", "yes", "true", "on", "1"), True),
    **dict.fromkeys(("n", "no", "false", "off", "0"), False),
}
"""What the first Butterfly took for yes, and the opposite of each."""


def checked(model: type[M], data: Mapping[str, Any], folder: str, notes: list[str] | None) -> M:
    """Check the keys under ``bfly``.

    Parameters
    ----------
    model : type
        The model that has these keys.
    data : mapping
        Their values; it is not changed.
    folder : str
        Relative paths are relative to it.
    notes : list of str, optional
        If given, mistakes are mended where possible, with a line for each here.

    Raises
    ------
    ValidationError
        There are mistakes, or mistakes that cannot be mended.
    """
    content = dict(data)
    owned: set[tuple[int | str, ...]] = set()
    while True:
        try:
            return model.model_validate(content, context={"folder": folder}, by_name=False)
        except ValidationError as error:
            if notes is None:
                raise
            lines = [_mend(one, content, owned, model, folder) for one in error.errors()]
            if not any(lines):
                raise
            notes += filter(None, lines)


def _mend(
    error: ErrorDetails,
    content: dict[str, Any],
    owned: set[tuple[int | str, ...]],
    root: type[Model],
    folder: str,
) -> str:
    """Mend a mistake in `content`, and return what was done; "" if it cannot be mended."""
    *groups, name = error["loc"]
    value = error["input"]
    if error["type"] in UNKNOWN:
        place = _own(content, groups, owned)
        del place[next(key for key in place if key == name or str(key) == name)]
        return ignored(error, root)
    if error["type"] == "missing" and name == "path" and groups[-2:-1] == ["datasets"]:
        default = _folder_of(value, folder)
        _own(content, groups, owned)[name] = default
        return f"{key_of(error)} is missing; it is {default}, the folder of the channels."
    try:
        mended = _READ[error["type"]](value)
    except (KeyError, ValueError):
        return ""
    _own(content, groups, owned)[name] = mended
    shown = {True: "yes", False: "no"}[mended] if isinstance(mended, bool) else mended
    return f"{key_of(error)} is {value!r}; it is read as {shown}."


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else _refuse()


def _decimal(value: Any) -> float:
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else _refuse()


def _flag(value: Any) -> bool:
    return _FLAGS[str(value).lower()]


def _refuse() -> Never:
    raise ValueError


_READ = {"int_type": _whole, "float_type": _decimal, "bool_type": _flag}
"""Functions that read what was meant, by the type of the error."""


def _own(content: Any, groups: list[int | str], owned: set[tuple[int | str, ...]]) -> Any:
    """Return the mapping or list at a place, after replacing all above it by copies once."""
    place = content
    for depth, step in enumerate(groups, 1):
        if (key := tuple(groups[:depth])) not in owned:
            inner = place[step]
            place[step] = list(inner) if isinstance(inner, tuple) else copy(inner)
            owned.add(key)
        place = place[step]
    return place


def _folder_of(dataset: Mapping[str, Any], folder: str) -> str:
    """Return the folder that contains the channels of a dataset, by default `folder`."""
    channels = dataset.get("channels")
    paths = [
        channel["path"]
        for channel in (channels if isinstance(channels, (list, tuple)) else ())
        if isinstance(channel, dict) and isinstance(channel.get("path"), str)
    ]
    files = (split_path(absolute(path, folder))[0] for path in paths if not is_url(path))
    folders = {os.path.dirname(file) for file in files}
    return os.path.commonpath(folders) if folders else folder
