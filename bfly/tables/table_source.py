"""Source file of a dataset's synapses or neurons, and the names of its columns."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import xxhash
from pydantic import ValidationError

from bfly.config.error_messages import mistake
from bfly.config.tree import Dataset, Neurons, Synapses
from bfly.errors import ConfigError
from bfly.keywords import RUNTIME
from bfly.storage.files import Files, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TableSource", "fingerprint", "named_in", "sources_of"]

_KEYS = ("synapses", "neurons", "synapse-connections", "neuron-soma")
_ROLES = ("id", "pre", "post", "z", "y", "x", "position")
_FILE = RUNTIME().DB.FILE


@dataclass(frozen=True)
class TableSource:
    """File of one table, and its configuration.

    Attributes
    ----------
    table : {"synapse", "neuron"}
        Kind of its rows, as in ``RUNTIME.DB.TABLE.LIST``.
    path : str
        The file: documented JSON, CSV (also gzipped), Parquet, Feather or Arrow IPC.
    columns : Mapping
        Maps ``id``, ``pre``, ``post``, ``z``, ``y``, ``x`` and ``position`` (x, y, z in one
        column) to column names of the file. Columns not named are recognised.
    units : {"voxel", "nm"} or None
        Units of positions; None for those of the recognised export, by default voxels.
    voxel_size : tuple of float or None
        Nanometres z, y, x of a voxel of mip 0.
    skip_bad_rows : bool
        Whether bad rows are left out with a warning.
    """

    table: Literal["synapse", "neuron"]
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Literal["voxel", "nm"] | None = None
    voxel_size: tuple[float, float, float] | None = None
    skip_bad_rows: bool = False


def named_in(folder: str, dataset: Mapping[str, Any]) -> dict[str, str]:
    """Return the files in a channel's own folder that have the names which its dataset states.

    Parameters
    ----------
    folder : str
        The channel's ``dpath``.
    dataset : mapping
        The dataset; ``synapse-connections`` and ``neuron-soma`` are relative to its ``path``.
    """
    home, found = dataset.get("path") or "", {}
    for key in _FILE.DB_LIST:
        if named := dataset.get(key):
            name = os.path.relpath(os.path.join(home, named), home)
            inside = os.path.join(folder, name)
            if not name.startswith(os.pardir) and os.path.exists(inside):
                found[key] = inside
    return found


def sources_of(
    dataset: Mapping[str, Any], files: Files
) -> tuple[TableSource | None, TableSource | None]:
    """Find the files of a dataset's synapses and of its neurons.

    Parameters
    ----------
    dataset : mapping
        A dataset of a configuration, with absolute paths. In order of precedence:
        ``synapses`` and ``neurons``, then ``synapse-connections`` and ``neuron-soma``, then
        the documented names in the folder ``path``.
    files : Files
        Access to the allowed folders.

    Returns
    -------
    synapses, neurons : TableSource or None
        None if nothing is configured and no file of the documented name exists.

    Raises
    ------
    ConfigError
        The configuration of the files is invalid.
    NotAllowed
        A file is outside the allowed folders.
    """
    said = {key: dataset[key] for key in _KEYS if dataset.get(key) is not None}
    folder = dataset["path"]
    try:
        checked = Dataset.model_validate({"name": "of", "path": folder, **said}, by_name=False)
    except ValidationError as error:
        raise ConfigError("\n".join(mistake(e, Dataset) for e in error.errors())) from None
    sizes = (channel.get("voxel_size") for channel in dataset.get("channels", ()))
    size = next(((z, y, x) for z, y, x in filter(None, sizes)), None)
    defaults = (os.path.join(folder, kind.DEFAULT) for kind in (_FILE.SYNAPSE, _FILE.SOMA))
    synapses, neurons = (files.resolve(p) if os.path.exists(p) else None for p in defaults)
    return (
        _source("synapse", checked.synapses, checked.synapse_connections, synapses, size),
        _source("neuron", checked.neurons, checked.neuron_soma, neurons, size),
    )


def _source(
    table: Literal["synapse", "neuron"],
    said: Synapses | Neurons | None,
    named: str | None,
    default: str | None,
    size: tuple[float, float, float] | None,
) -> TableSource | None:
    """Return the file of one table: `said`, else `named`, else `default`."""
    if said is None:
        path = named or default
        return TableSource(table, path) if path else None
    columns = {role: name for role in _ROLES if (name := getattr(said, role, None))}
    size = said.voxel_size or size
    return TableSource(table, said.path, columns, said.units, size, said.skip_bad_rows)


def fingerprint(sources: Iterable[TableSource | None], files: Files) -> str:
    """Return a text that differs if a file (path, size, time of change) or an option does.

    Raises
    ------
    NotAllowed
        A file is outside the allowed folders.
    """
    state = [(asdict(s), stamp_of(files.resolve(s.path))) if s else None for s in sources]
    return xxhash.xxh128_hexdigest(repr(state).encode())
