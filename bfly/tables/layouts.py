"""Column names of known exports, and recognition of those in a file.

Sources: the annotation schemas of CAVE; the columns that neuprint-python's
``fetch_synapse_connections`` and ``fetch_neurons`` document; the download pages of Codex and the
Zenodo record 10676866 for FlyWire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bfly.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bfly.tables.table_source import TableSource

__all__ = ["ENDS", "LAYOUTS", "Layout", "ends_of", "layout_of"]

Units = Literal["voxel", "nm"]


@dataclass(frozen=True)
class Layout:
    """Meaning of the columns of a file.

    Attributes
    ----------
    name : str
        Name of the export.
    columns : mapping
        Maps a role (see `TableSource`) to a column name.
    units : {"voxel", "nm"}
        Units of the positions.
    fill_down : bool
        Whether an empty neuron id repeats the id of the row above.
    """

    name: str
    columns: Mapping[str, str]
    units: Units = "voxel"
    fill_down: bool = False


def _axes(pattern: str) -> dict[str, str]:
    return {axis: pattern.format(axis) for axis in "zyx"}


_CAVE = {"id": "id", "pre": "pre_pt_root_id", "post": "post_pt_root_id"}
_ROOTS = {"id": "id", "pre": "pre_root_id", "post": "post_root_id"}
_SHORT = {"pre": "pre_root_id_720575940", "post": "post_root_id_720575940"}
_BODIES = {"pre": "bodyId_pre", "post": "bodyId_post"}

_POINT = {"z", "y", "x"}

LAYOUTS = {
    "synapse": (
        Layout("CAVE", {**_CAVE, "position": "ctr_pt_position"}),
        Layout("CAVE", {**_CAVE, **_axes("ctr_pt_position_{}")}),
        Layout("MICrONS", {**_ROOTS, **_axes("ctr_pos_{}_vx")}),
        Layout("MICrONS", {**_ROOTS, **_axes("ctr_pt_{}_nm")}, "nm"),
        Layout("FlyWire", {**_CAVE, **_axes("post_pt_position_{}")}, "nm"),
        Layout("Codex", {**_SHORT, **_axes("ctr_{}")}, "nm"),
        Layout("Codex", {**_ROOTS, **_axes("{}")}, "nm", fill_down=True),
        Layout("neuPrint", {**_BODIES, **_axes("{}_post")}),
        Layout("neuPrint", {**_BODIES, **_axes("{}")}),
        Layout("plain", {"id": "id", "pre": "pre", "post": "post", **_axes("{}")}),
    ),
    "neuron": (
        Layout("CAVE", {"id": "pt_root_id", "position": "pt_position"}),
        Layout("CAVE", {"id": "pt_root_id", **_axes("pt_position_{}")}),
        Layout("MICrONS", {"id": "pt_root_id", **_axes("soma_{}_nm")}, "nm"),
        Layout("Codex", {"id": "root_id", "position": "position"}, "nm"),
        Layout("neuPrint", {"id": "bodyId", "position": "somaLocation"}),
        Layout("plain", {"id": "id", **_axes("{}")}),
    ),
}
"""Recognised layouts; the first match is used. Synapses may have no ``id`` column."""


ENDS = (
    ("{}_pt_position",),
    ("{}_pt_position_z", "{}_pt_position_y", "{}_pt_position_x"),
    ("{}_pos_z_vx", "{}_pos_y_vx", "{}_pos_x_vx"),
    ("z_{}", "y_{}", "x_{}"),
    ("{}_z", "{}_y", "{}_x"),
)
"""Names of the columns with the presynaptic and postsynaptic positions, with ``pre`` and ``post``
filled in: one column, or one per axis. Their units are those of the synapse position, or voxels if
their names end with ``_vx``."""


def ends_of(names: Collection[str]) -> tuple[list[str], ...]:
    """Return the columns of the presynaptic and postsynaptic positions, or () if any is missing."""
    for patterns in ENDS:
        ends = tuple([pattern.format(side) for pattern in patterns] for side in ("pre", "post"))
        if all(name in names for end in ends for name in end):
            return ends
    return ()


def layout_of(source: TableSource, names: Collection[str]) -> Layout:
    """Return the layout of a file.

    Parameters
    ----------
    source : TableSource
        Configuration of the file.
    names : collection of str
        Column names of the file.

    Raises
    ------
    ConfigError
        A configured column does not exist, or a required column is neither named nor recognised.
    """
    there = f"there are {', '.join(names)}"
    key = f"{source.table}s"
    for role, name in source.columns.items():
        if name not in names:
            raise ConfigError(f"{source.path} has no column {name}, as {key}.{role} says; {there}.")
    for layout in LAYOUTS[source.table]:
        columns = {**_kept(layout, source.columns), **source.columns}
        if source.table == "synapse" and columns.get("id") not in names:
            columns.pop("id", None)
        place = [columns[role] for role in ("position", *_POINT) if role in columns]
        whole = "position" in columns or columns.keys() >= _POINT
        if whole and all(name in names for name in columns.values()):
            nm = all(name.endswith("_nm") for name in place)
            units = source.units or ("nm" if nm else layout.units)
            fill_down = layout.fill_down and not source.columns.keys() & {"pre", "post"}
            return Layout(layout.name, columns, units, fill_down)
    needed = "id" if source.table == "neuron" else "pre, post"
    raise ConfigError(
        f"{source.path} is no export that is recognised; {there}. Name the columns in {key}: "
        f"{needed} and z, y, x or position."
    )


def _kept(layout: Layout, named: Mapping[str, str]) -> dict[str, str]:
    """Return a layout's columns; if the position is `named`, without the other position kind."""
    other = _POINT if "position" in named else {"position"} if named.keys() & _POINT else set()
    return {role: name for role, name in layout.columns.items() if role not in other}
