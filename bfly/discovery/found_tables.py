"""Tables of synapses and neurons that a scan finds, and the dataset that each is of."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bfly.config.tree import Neurons, Synapses
from bfly.discovery.opening import open_channel
from bfly.errors import ButterflyError
from bfly.tables.headers import columns_in
from bfly.tables.recognised import Recognised, is_named, recognised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.config.tree import Dataset
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["Placed", "place_tables"]

LOOKED_AT = 1000
"""Tables whose columns are read, those first whose names say what they are."""

OPENED = 100
"""Channels of a dataset that are opened to find its segmentation."""

ROWS = {"synapse": "synapses", "neuron": "neurons"}
"""Words for the rows of a table, which are the keys of a dataset as well."""

DEFAULTS = {"synapse": "synapse-connections.json", "neuron": "neuron-soma.json"}
"""Metadata files in the folder of a dataset, which are its tables without a configuration."""


@dataclass(frozen=True)
class Placed:
    """What became of the tables that were found.

    Parameters
    ----------
    datasets : list of Dataset
        The datasets, with the tables that are theirs.
    served : list of tuple of str
        Tables that are served, as (path, what they are and of which channel).
    offered : list of tuple of str
        Other tables, as (path, why they are not served, and what to write).
    others : list of str
        Tables of another kind.
    """

    datasets: list[Dataset]
    served: list[tuple[str, str]]
    offered: list[tuple[str, str]]
    others: list[str]


def place_tables(
    datasets: Sequence[Dataset],
    paths: Sequence[str],
    files: Files,
    voxel_size: VoxelSize | None = None,
) -> Placed:
    """Read the columns of tables, and add each to the dataset of the only segmentation there is.

    A table is of the dataset of its folder, or else of those below it, or else of the nearest
    folder above it. It is served if one segmentation is in there, if it is the only table of its
    kind, and if the voxel size is known where its positions are nanometres. Otherwise it is
    offered.

    Parameters
    ----------
    datasets : sequence of Dataset
        As a scan finds them.
    paths : sequence of str
        Files with an ending of `bfly.tables.headers`.
    files : Files
        Access to the files.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x) of channels that state none.
    """
    placing = _Placing(datasets, files, voxel_size)
    ranked = sorted(paths, key=lambda path: (not is_named(path), path))
    for path in ranked[:LOOKED_AT]:
        placing.look(path)
    placing.result.others.extend(ranked[LOOKED_AT:])
    for (*near, _), alike in placing.tables.items():
        placing.place([each for each in datasets if each.path in near], alike)
    return placing.result


class _Placing:
    """Tables that are recognised, and the datasets to which they are added."""

    def __init__(
        self, datasets: Sequence[Dataset], files: Files, voxel_size: VoxelSize | None
    ) -> None:
        self.datasets, self.files, self.voxel_size = datasets, files, voxel_size
        self.result = Placed(list(datasets), [], [], [])
        self.tables: dict[tuple[str, ...], list[tuple[str, Recognised]]] = defaultdict(list)
        self._open: dict[str, list[tuple[str, VoxelSize | None]]] = {}

    def look(self, path: str) -> None:
        """Read the columns of a file, and note what it is."""
        try:
            table = recognised(path, columns_in(path, self.files))
        except ButterflyError as error:
            if is_named(path):
                self.result.offered.append((path, str(error)))
            else:
                self.result.others.append(path)
            return
        if table is None:
            self.result.others.append(path)
        elif table.missing:
            names = ", ".join(table.missing)
            self._offer(table, path, f"it has no column {names}", ", and the names of its columns")
        else:
            near = tuple(each.path for each in _near(os.path.dirname(path), self.datasets))
            self.tables[(*near, table.table)].append((path, table))

    def place(self, near: list[Dataset], alike: list[tuple[str, Recognised]]) -> None:
        """Add the only table of its kind to one of the datasets near it, or offer all of them."""
        path, table = alike[0]
        rows = ROWS[table.table]
        reason = ""
        if len(alike) > 1:
            reason = f"there are {len(alike)} tables of {rows}"
        elif any(len(dataset.channels) > OPENED for dataset in near):
            reason = f"its dataset has more than {OPENED} channels"
        else:
            found = [(each, *item) for each in near for item in self._segmentations(each)]
            names = [name for _, name, _ in found]
            if len(found) != 1:
                listed = f" ({', '.join(names[:5])})" if names else ""
                reason = f"there are {len(found) or 'no'} segmentations beside it{listed}, not one"
            elif os.path.exists(os.path.join(found[0][0].path, DEFAULTS[table.table])):
                reason = f"{DEFAULTS[table.table]} is there as well"
            elif table.is_nm and found[0][2] is None:
                reason = (
                    f"its positions are nanometres, and {names[0]} states no voxel size: "
                    "--voxel-size does"
                )
        if reason:
            for other, kind in alike:
                self._offer(kind, other, reason)
            return
        dataset, name, size = found[0]
        self._add(dataset.path, table, path, size)
        what = f"the {rows} of {name}, in columns of {table.layout}"
        self.result.served.append((path, what))

    def _add(self, folder: str, table: Recognised, path: str, size: VoxelSize | None) -> None:
        """Add a table to the dataset of a folder."""
        datasets = self.result.datasets
        number = next(n for n, each in enumerate(datasets) if each.path == folder)
        model: Callable[..., Any] = Synapses if table.table == "synapse" else Neurons
        words = {"voxel_size": size} if table.is_nm else {}
        added = {ROWS[table.table]: model(path=path, **words)}
        datasets[number] = datasets[number].model_copy(update=added)

    def _offer(self, table: Recognised, path: str, reason: str, more: str = "") -> None:
        rows = ROWS[table.table]
        text = (
            f"a table of {rows}: {reason}. If it is to be served, save the configuration with -o, "
            f"and write in its dataset: {rows}: {{path: {path}}}{more}"
        )
        self.result.offered.append((path, text))

    def _segmentations(self, dataset: Dataset) -> list[tuple[str, VoxelSize | None]]:
        """Return the name and voxel size of each channel of a dataset that is a segmentation."""
        if dataset.path not in self._open:
            found = self._open[dataset.path] = []
            for channel in dataset.channels:
                # The start, and the doctor, report a channel that cannot be opened.
                with suppress(ButterflyError):
                    source = open_channel(channel, self.files)
                    if source is not None and source.kind == "segmentation":
                        size = channel.voxel_size or source.voxel_size or self.voxel_size
                        found.append((channel.name, size))
        return self._open[dataset.path]


def _near(folder: str, datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets that a table in a folder may be of."""
    by_path = {dataset.path: dataset for dataset in datasets}
    if folder in by_path:
        return [by_path[folder]]
    below = [each for path, each in by_path.items() if path.startswith(f"{folder.rstrip('/')}/")]
    if below:
        return below
    above = [path for path in by_path if folder.startswith(f"{path.rstrip('/')}/")]
    return [by_path[max(above, key=len)]] if above else []
