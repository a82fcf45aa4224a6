"""Messages for mistakes in a configuration, one line each."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from bfly.config.tree import (
    Channel,
    Dataset,
    Experiment,
    KeptPyramid,
    Model,
    Neurons,
    Sample,
    Synapses,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["mistake", "shortened"]

_BELOW: dict[str, type[Model]] = {
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
    loc, value, wrong = error["loc"], shortened(error["input"]), error["type"]
    if wrong == "invalid_key":
        loc, wrong = (*loc[:-1], str(loc[-1])), "extra_forbidden"
    key = "bfly" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    *groups, name = [part for part in loc if isinstance(part, str)] or [""]
    fields = (_BELOW[groups[-1]] if groups else root).model_fields
    allowed = {field.alias or "": field.description for field in fields.values()}
    if wrong == "extra_forbidden":
        near = difflib.get_close_matches(name, allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"{key} is {value}, but there is no such key{hint} Allowed are {', '.join(allowed)}."
    if wrong == "missing":
        return f"{key} is missing; needed is {allowed[name]}."
    if wrong == "repeated":
        first = f"[{error['ctx']['first']}]"
        return f"{key} is {value}, which is the name of {first} too; allowed are names that differ."
    if wrong == "value_error":
        return f"{key} is {value}; allowed is {error['ctx']['error']}."
    return f"{key} is {value}; allowed is {allowed[name]}."


def shortened(value: Any) -> str:
    """Return a value as text, with passwords hidden, cut to 80 characters."""
    text = re.sub(r"(://).*(?=@)|(password *=).*", r"\1\2***", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
