"""Recognition of tables of synapses and neurons by the names of their columns."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bfly.errors import ConfigError
from bfly.tables.layouts import LAYOUTS, layout_of
from bfly.tables.table_source import TableSource

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Recognised", "is_named", "recognised"]

NAMED = re.compile(r"(?<![a-z])(synaps(?:e|es)|neurons?|somas?|somata)(?![a-z])")
"""Words in the name of a file that say what its rows are."""

GENERAL = "plain"
"""The layout of columns ``id``, ``x``, ``y``, ``z``, which tables of any points have."""


@dataclass(frozen=True)
class Recognised:
    """What the columns of a file say.

    Parameters
    ----------
    table : {"synapse", "neuron"}
        Kind of its rows.
    layout : str
        Name of the export; "" if columns are missing.
    is_nm : bool
        Whether its positions are nanometres.
    missing : tuple of str
        Columns that the most similar export has and the file lacks.
    """

    table: Literal["synapse", "neuron"]
    layout: str
    is_nm: bool = False
    missing: tuple[str, ...] = ()


def is_named(path: str) -> bool:
    """Return whether the name of a file says that it has synapses or neurons."""
    return bool(NAMED.search(os.path.basename(path).lower()))


def recognised(path: str, names: Collection[str]) -> Recognised | None:
    """Return what a file is by the names of its columns; None if it is of another kind.

    A table of presynaptic and postsynaptic neurons is one of synapses. One of neurons has the
    columns of an export, or its name says so.

    Parameters
    ----------
    path : str
        The file, whose name counts too.
    names : collection of str
        The names of its columns.
    """
    tables: tuple[Literal["synapse", "neuron"], ...] = ("synapse", "neuron")
    for table in tables:
        try:
            layout = layout_of(TableSource(table, path), names)
        except ConfigError:
            continue
        if table == "synapse" or layout.name != GENERAL or is_named(path):
            return Recognised(table, layout.name, layout.units == "nm")
    word = NAMED.search(os.path.basename(path).lower())
    has_ends = any({x.columns["pre"], x.columns["post"]} <= {*names} for x in LAYOUTS["synapse"])
    if not has_ends and word is None:
        return None
    is_synapse = has_ends or (word is not None and word[1].startswith("synaps"))
    table = "synapse" if is_synapse else "neuron"
    lacking = [
        tuple(
            name
            for role, name in each.columns.items()
            if name not in names and (table, role) != ("synapse", "id")
        )
        for each in LAYOUTS[table]
    ]
    # Of exports that are as similar, the one with the plainest names is the last.
    return Recognised(table, "", missing=min(reversed(lacking), key=len))
