"""Messages for mistakes in a configuration, one line each."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from bfly.config.stores import DiskCacheSettings, KeptPyramid
from bfly.config.tree import Channel, Dataset, Experiment, Model, Neurons, Sample, Synapses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

__all__ = ["UNKNOWN", "ignored", "key_of", "mistake", "shortened"]

UNKNOWN = ("extra_forbidden", "invalid_key")
"""Types of errors for a key that does not exist, or that is not text."""

_BELOW: dict[str, type[Model]] = {
    "disk-cache": DiskCacheSettings,
    "pyramid": KeptPyramid,
    "experiments": Experiment,
    "samples": Sample,
    "datasets": Dataset,
    "channels": Channel,
    "synapses": Synapses,
    "neurons": Neurons,
}


def mistake(error: ErrorDetails, root: type[Model]) -> str:
    """Return one line with the key, its value and what is allowed.

    Parameters
    ----------
    error : dict
        The error of pydantic.
    root : type
        The model that has the keys directly under ``bfly`` as its fields.
    """
    value, wrong = shortened(error["input"]), error["type"]
    key, (name, allowed) = key_of(error), _place(error, root)
    if wrong in UNKNOWN:
        near = _nearest(name, allowed)
        return f"{key} is {value}, but {near} Allowed are {', '.join(allowed)}."
    if wrong == "missing":
        return f"{key} is missing; needed is {allowed[name]}."
    if wrong == "repeated":
        first = f"[{error['ctx']['first']}]"
        return f"{key} is {value}, which is the name of {first} too; allowed are names that differ."
    if wrong == "value_error":
        return f"{key} is {value}; allowed is {error['ctx']['error']}."
    return f"{key} is {value}; allowed is {allowed[name]}."


def ignored(error: ErrorDetails, root: type[Model]) -> str:
    """Return one line for an unknown key that is ignored, as `mistake` returns for others."""
    near = _nearest(*_place(error, root))
    return f"{key_of(error)} is {shortened(error['input'])}, but {near} It is ignored."


def key_of(error: ErrorDetails) -> str:
    """Return the place of an error: the keys and positions from ``bfly`` on."""
    return "bfly" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in _loc(error)
    )


def _loc(error: ErrorDetails) -> tuple[int | str, ...]:
    """Return where an error is; a number that is a key, as text."""
    loc = error["loc"]
    return (*loc[:-1], str(loc[-1])) if error["type"] == "invalid_key" else loc


def _place(error: ErrorDetails, root: type[Model]) -> tuple[str, dict[str, str | None]]:
    """Return the last key of an error, and all keys beside it with what is allowed in them."""
    *groups, name = [part for part in _loc(error) if isinstance(part, str)] or [""]
    fields = (_BELOW[groups[-1]] if groups else root).model_fields
    return name, {field.alias or "": field.description for field in fields.values()}


def _nearest(name: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, allowed, 1)
    return f"there is no such key{f'; did you mean {near[0]}?' if near else '.'}"


def shortened(value: Any) -> str:
    """Return a value as text, with passwords hidden, cut to 80 characters."""
    text = re.sub(r"(://).*(?=@)|(password *=).*", r"\1\2***", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
