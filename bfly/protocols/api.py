"""Butterfly's own REST: names, metadata of channels, cutouts, neurons and synapses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.keywords import INPUT
from bfly.protocols.protocol import Protocol, channel_words, named
from bfly.queries.data import DataQuery
from bfly.queries.feature import BOX, FeatureQuery, RowsQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.tree import Channel, Dataset, Experiment, Sample

__all__ = ["API"]

NEEDED = ("x", "y", "z", "width", "height")
OPTIONAL = ("depth", "resolution", "format", "view")
ROWS = ("synapses", "neurons", "partners", "connectivity")
OF_FEATURES = ("feature", "id", *BOX, "resolution", "ids", "format")
OF_ROWS = ("resolution", "id", "neuron", "pre", "post")


class API(Protocol):
    """``/api/{method}?experiment=…``."""

    prefixes: ClassVar[tuple[str, ...]] = ("api",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        method = path.strip("/")
        if method in INPUT.METHODS.GROUP_LIST:
            return self._group(method, parameters)
        if method == "channel_metadata":
            channel = self._channel(parameters)
            return InfoQuery(
                method=method,
                name=channel.name,
                format=parameters.get("format", "json"),
                **channel_words(channel),
            )
        if method == "entity_feature":
            words = {name: parameters[name] for name in OF_FEATURES if name in parameters}
            return FeatureQuery(**self._dataset_words(parameters), **words)
        if method in ROWS:
            return self._rows(method, parameters)
        if method in INPUT.METHODS.IMAGE_LIST:
            channel = self._channel(parameters)
            words = {name: named(parameters, name) for name in NEEDED}
            words |= {name: parameters[name] for name in OPTIONAL if name in parameters}
            return DataQuery(method=method, **channel_words(channel), **words)
        facts = ["channel_metadata", "entity_feature", *ROWS]
        methods = [*INPUT.METHODS.GROUP_LIST, *facts, *INPUT.METHODS.IMAGE_LIST]
        raise Absent(f"The method {method} is not in {methods}.")

    def _group(self, method: str, parameters: Mapping[str, str]) -> InfoQuery:
        """List the names below what the parameters lead to."""
        depth = INPUT.METHODS.GROUP_LIST.index(method)
        above = [named(parameters, name) for name in INPUT.GROUP.LIST[:depth]]
        config = self.config
        items: Sequence[Experiment | Sample | Dataset | Channel]
        match above:
            case []:
                items = config.experiments
            case [experiment]:
                items = config.experiment(experiment).samples
            case [experiment, sample]:
                items = config.sample(experiment, sample).datasets
            case _:
                items = config.dataset(*above).channels
        names = [item.name for item in items]
        return InfoQuery(method=method, list=names, format=parameters.get("format", "json"))

    def _rows(self, method: str, parameters: Mapping[str, str]) -> RowsQuery:
        words: dict[str, Any] = {
            name: parameters[name] for name in (*BOX, *OF_ROWS) if name in parameters
        }
        if method == "connectivity":
            words["list"] = named(parameters, "ids").split(",")
        elif "ids" in parameters:
            words["ids"] = parameters["ids"]
        if "format" in parameters:
            words["rows_format"] = parameters["format"]
        return RowsQuery(rows=method, **self._dataset_words(parameters), **words)

    def _dataset_words(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Give the path of a channel, or of a dataset where no channel is named."""
        if "channel" in parameters:
            return {"path": self._channel(parameters).path}
        experiment, sample, dataset = (named(parameters, name) for name in INPUT.GROUP.LIST[:3])
        return {"path": self.config.dataset(experiment, sample, dataset).path}

    def _channel(self, parameters: Mapping[str, str]) -> Channel:
        """Find a channel; of the names that lead to it, the first wrong one is complained of."""
        names: list[str] = [parameters.get(name, "") for name in INPUT.GROUP.LIST]
        for name in INPUT.GROUP.LIST:
            if name not in parameters:
                self.config.find(*names)
        return self.config.find(*names)
