"""``/openapi.json``: description of ``/api`` for client generators and API explorers.

It is built from the tables that also validate requests: `bfly.protocols.api.METHODS`, the allowed
values of queries, the actions of `bfly.protocols.families.FAMILIES`, and the statuses of
errors. The format: https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

import bfly
from bfly import registry
from bfly.errors import Absent
from bfly.keywords import INPUT, OUTPUT, RUNTIME
from bfly.protocols.api import GROUP, METHODS
from bfly.protocols.openapi_actions import action_paths
from bfly.protocols.openapi_responses import conditional_headers, responses
from bfly.protocols.protocol import Protocol
from bfly.queries.data import DataQuery
from bfly.queries.feature import ROW_FORMATS, FeatureQuery, RowsQuery
from bfly.queries.info import WordsQuery
from bfly.queries.mesh_file import MeshFileQuery
from bfly.queries.segments import RUN_FORMATS, SegmentsQuery, SparseVolumeQuery
from bfly.queries.skeleton import SKELETON_FORMATS, SkeletonQuery
from bfly.segments.mesh_files import MESH_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.protocols.api import Method
    from bfly.queries.query import Query

__all__ = ["OpenAPI", "document"]

FORMATS: dict[type[Query], dict[str, str]] = {
    RowsQuery: ROW_FORMATS,
    SegmentsQuery: ROW_FORMATS,
    SparseVolumeQuery: RUN_FORMATS,
    MeshFileQuery: MESH_FORMATS,
}
"""Media types of the queries that are answered with a stream."""

STREAMED = tuple(FORMATS)


class OpenAPI(Protocol):
    """``/openapi.json``."""

    prefixes: ClassVar[tuple[str, ...]] = ("openapi.json",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> WordsQuery:
        if path:
            raise Absent(f"There is nothing below /openapi.json, such as {path}.")
        return WordsQuery(document(self.config))


def document(config: Config) -> dict[str, Any]:
    """Return the OpenAPI document of a server.

    Parameters
    ----------
    config : Config
        Source of the names that parameters may have.
    """
    paths: dict[str, Any] = {}
    for name, method in METHODS.items():
        get, head = (_operation(name, method, verb) for verb in ("get", "head"))
        paths[f"/api/{name}"] = {"get": get, "head": head}
    paths |= action_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Butterfly",
            "version": bfly.__version__,
            "description": "Connectomics volumes with their neurons and synapses.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _names(config)},
    }


def _names(config: Config) -> dict[str, Any]:
    """Return schemas with the names of experiments, samples, datasets and channels."""
    samples = [sample for experiment in config.experiments for sample in experiment.samples]
    datasets = [dataset for sample in samples for dataset in sample.datasets]
    names = (
        {experiment.name for experiment in config.experiments},
        {sample.name for sample in samples},
        {dataset.name for dataset in datasets},
        {channel.name for dataset in datasets for channel in dataset.channels},
    )
    schemas: dict[str, Any] = {}
    for group, members in zip(GROUP, names, strict=True):
        schemas[group] = {"type": "string", **({"enum": sorted(members)} if members else {})}
    return schemas


def _operation(name: str, method: Method, verb: str) -> dict[str, Any]:
    parameters = [_word(word, method, True) for word in method.needed]
    parameters += [_word(word, method, False) for word in method.optional]
    conditional = not issubclass(method.query, STREAMED)
    if conditional:
        parameters += conditional_headers()
    content = _content(name, method)
    return {
        "operationId": f"{verb}_{name}",
        "summary": method.summary if verb == "get" else f"Headers only: {method.summary}",
        "parameters": parameters,
        "responses": responses(method.summary, content, method.errors, verb, conditional),
    }


def _word(word: str, method: Method, required: bool) -> dict[str, Any]:
    """Return the description of a parameter of a method."""
    described = {"name": word, "in": "query", "required": required}
    if word in GROUP:
        name = {"$ref": f"#/components/schemas/{word}"}
        return {**described, "description": f"name of the {word}", "schema": name}
    allowed = method.query.ALLOWED[word]
    schema = allowed.schema
    default = getattr(method.query, method.query.WORDS[word])
    if not required and default is not None:
        schema["default"] = default
    lists = {"style": "form", "explode": False} if schema["type"] == "array" else {}
    return {**described, "description": allowed.meaning, "schema": schema, **lists}


def _content(name: str, method: Method) -> dict[str, Any]:
    """Return the media types of an answer, and the schema of JSON."""
    for kind, formats in FORMATS.items():
        if issubclass(method.query, kind):
            return {media: {} for media in formats.values()}
    if issubclass(method.query, DataQuery):
        encoders = registry.find("encoders").values()
        return {media: {} for media in sorted({encoder.media_type for encoder in encoders})}
    if method.query is SkeletonQuery:
        return {media: {} for media in SKELETON_FORMATS.values()}
    json: dict[str, Any] = _metadata()
    if name in INPUT.METHODS.GROUP_LIST:
        json = {"type": "array", "items": {"type": "string"}}
    elif issubclass(method.query, FeatureQuery):
        json = {"type": ["boolean", "object", "array"]}
    return {"application/json": {"schema": json}, "application/yaml": {}}


def _metadata() -> dict[str, Any]:
    info, source = OUTPUT.INFO, RUNTIME.IMAGE.SOURCE
    count = {"type": "integer", "minimum": 0}
    size = {axis.NAME: count for axis in (info.SIZE.X, info.SIZE.Y, info.SIZE.Z)}
    properties: dict[str, Any] = {
        info.CHANNEL.NAME: {"type": "string"},
        info.PATH.NAME: {"type": "string"},
        info.TYPE.NAME: {"type": "string"},
        source.NAME: {"type": "string", "enum": list(registry.names("sources"))},
        info.SIZE.NAME: {"type": "object", "properties": size, "required": list(size)},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
