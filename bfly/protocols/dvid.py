"""DVID's HTTP API for reading, as Neuroglancer's ``dvid://`` and dvidtools ask for it.

A dataset is a repository with one version; its channels are the data instances (see
`bfly.protocols.dvid_instances`). The API: ``help`` of the data types ``imageblk`` and ``labelmap``
in https://github.com/janelia-flyem/dvid. Its order is x, y, z. Neuroglancer has no place for a
folder before ``/api``, so the API is there too, beside Butterfly's own methods.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

import bfly
from bfly.config.addresses import lines_in
from bfly.errors import Absent, BadRequest, NotAllowed
from bfly.geometry import zyx
from bfly.protocols.dvid_blocks import BlocksQuery, PointsQuery, SpanQuery
from bfly.protocols.dvid_instances import (
    InstanceQuery,
    RepositoriesQuery,
    finer_instance,
    uuid_of,
)
from bfly.protocols.dvid_numbers import aligned, check_count, point, points, scale_of, whole
from bfly.protocols.dvid_voxels import SectionQuery, VolumeQuery
from bfly.protocols.protocol import Protocol, dataset_words, tokens
from bfly.protocols.ready import FinishedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["Dvid"]

PLANES = {"0_1": "xy", "0_2": "xz", "1_2": "yz"} | {plane: plane for plane in ("xy", "xz", "yz")}

VOLUMES = {
    **{"": "raw", "gzip": "gzip", "lz4": "lz4"},
    **dict.fromkeys(("google", "googlegzip"), "compressed_segmentation"),
}
"""Format of a box, by compression. What gzip does to `googlegzip` is a coding of HTTP."""

_LABELS = re.compile("(?:api/)?node/[^/]+/[^/]+/labels/?")
_PICTURE = re.compile("(png)|jpe?g(?::[0-9]{1,3})?")


class Dvid(Protocol):
    """``/dvid/api/…``, and the same paths at ``/api/…``."""

    prefixes: ClassVar[tuple[str, ...]] = (
        "dvid",
        *("api/node", "api/repo", "api/repos", "api/server"),
    )
    largest_body: ClassVar[int] = 1 << 20

    @override
    def takes_body(self, path: str) -> bool:
        return _LABELS.fullmatch(path) is not None

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        """Refuse to write.

        Raises
        ------
        NotAllowed
            Always.
        """
        raise NotAllowed(f"Nothing can be posted to {path}: DVID's API is served for reading.")

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        match path.removeprefix("api/").rstrip("/").split("/"):
            case ["server", "info"]:
                return _finished({"DVID Version": f"Butterfly {bfly.__version__}"})
            case ["repos", "info"]:
                return self._repositories(tokens(self.config))
            case ["repo", uuid, "info"]:
                return self._repositories([self._dataset(uuid)], one=True)
            case ["repo", uuid, "branch-versions", _]:
                return _finished([uuid_of(self._dataset(uuid))])
            case ["node", uuid, name, *rest]:
                return self._node(self._dataset(uuid), name, rest, parameters)
        raise Absent(
            f"There is no {path} of DVID's API, only api/server/info, api/repos/info, "
            "api/repo/UUID/info and api/node/UUID/INSTANCE/…."
        )

    def _repositories(self, datasets: list[str], one: bool = False) -> RepositoriesQuery:
        channels = [
            {**channel, "dataset": token}
            for token in datasets
            for channel in dataset_words(self.config, token)["channels"]
        ]
        return RepositoriesQuery(datasets, one, channels=channels)

    def _dataset(self, uuid: str) -> str:
        """Return the token of a dataset by the beginning of its UUID, or ``UUID:branch``."""
        start = uuid.partition(":")[0].lower()
        known = {uuid_of(token): token for token in tokens(self.config)}
        found = [token for full, token in known.items() if start and full.startswith(start)]
        if len(found) != 1:
            wrong = "begins several UUIDs" if found else "begins no UUID"
            raise Absent(f"{uuid} {wrong}; api/repos/info has all of them.")
        return found[0]

    def _node(
        self, token: str, name: str, rest: list[str], parameters: Mapping[str, str]
    ) -> DataQuery | InfoQuery:
        channels = {words["name"]: words for words in dataset_words(self.config, token)["channels"]}
        named = (
            (finer_instance(one, channels), line) for one, line in [(name, ""), *lines_in(name)]
        )
        found, line = next((each for each in named if each[0]), (None, ""))
        if found is None:
            raise Absent(
                f"There is no instance {name} in {token.replace('::', '/')}: its instances are the "
                f"channels {list(channels)[:20]}. There are no keyvalue instances."
            )
        channels[found[0]] |= {"line": line, "name": name} if line else {}
        words = {**channels[found[0]], "dataset": token}
        if rest in (["info"], ["metadata"]):
            return InstanceQuery(rest[0], found[1], **words)
        if parameters.get("roi"):
            raise BadRequest(f"There is no roi {parameters['roi']}; no rois are served.")
        scale = scale_of(parameters.get("scale") or "0")
        words = {**channels[found[0]], "resolution": found[1] + scale}
        words.pop("name")
        query = self._voxels(rest, parameters, words)
        if query is None:
            raise Absent(
                f"There is no {'/'.join(rest)} of {name}, only info, metadata, raw, isotropic, "
                "pseudocolor, specificblocks, subvolblocks, blocks, label and labels."
            )
        if parameters.get("supervoxels") == "true":
            # Those of DVID follow its splits of supervoxels, too.
            query.labels = "patched"
        return query

    def _voxels(
        self, rest: list[str], parameters: Mapping[str, str], words: dict[str, Any]
    ) -> DataQuery | None:
        compression = parameters.get("compression", "")
        match rest:
            case ["raw" | "isotropic" | "pseudocolor" as what, dims, size, offset, *form]:
                return _box(what, (dims, size, offset), form, compression, words)
            case ["specificblocks"]:
                places = whole(parameters.get("blocks", ""), ",")
                if len(places) % 3:
                    raise BadRequest(f"The blocks are {len(places)} numbers, not x,y,z of each.")
                check_count(len(places) // 3)
                blocks = [zyx(places[n : n + 3][::-1]) for n in range(0, len(places), 3)]
                return BlocksQuery(blocks, compression, **words)
            case ["blocks", first, span] if "_" not in span:
                (count,) = whole(span, "_", 1)
                return SpanQuery(point(first), check_count(count), **words)
            case ["blocks" | "subvolblocks", size, offset]:
                return BlocksQuery(aligned(point(size), point(offset)), compression, **words)
            case ["label", place]:
                return PointsQuery([point(place)], one=True, **words)
            case ["labels"]:
                return PointsQuery(points(parameters.get("body", "")), **words)
        return None


def _box(
    what: str, place: tuple[str, str, str], form: list[str], compression: str, words: dict[str, Any]
) -> DataQuery:
    dims, size, offset = place
    z, y, x = point(offset)
    words |= {"z": z, "y": y, "x": x}
    picture = _PICTURE.fullmatch(form[0]) if len(form) == 1 else None
    if what == "pseudocolor":
        words["view"] = "colormap"
    elif form and not picture and form != ["octet-stream"]:
        raise BadRequest(f"The format {'/'.join(form)} is not png, jpg or octet-stream.")
    if dims in ("0_1_2", "xyz"):
        if compression not in VOLUMES:
            raise BadRequest(f"The compression {compression} is not in {[*VOLUMES][1:]}.")
        words["depth"], words["height"], words["width"] = point(size)
        # Neuroglancer asks for images in JPEG, whose sections are below each other.
        words["format"] = _form(picture) if picture else VOLUMES[compression]
        return VolumeQuery(**words)
    if dims not in PLANES:
        raise BadRequest(f"The dims {dims} are not in {[*PLANES, '0_1_2']}.")
    width, height = whole(size, "_", 2)
    plane = PLANES[dims]
    sides = dict(zip(plane, (width, height), strict=True))
    names = {"x": "width", "y": "height", "z": "depth"}
    words |= {names[axis]: side for axis, side in sides.items()}
    words |= {"plane": plane, "format": _form(picture) if picture else "png"}
    return SectionQuery(isotropic=what == "isotropic", **words)


def _form(picture: re.Match[str]) -> str:
    return "png" if picture[1] else "jpeg"


def _finished(words: Any) -> FinishedQuery:
    return FinishedQuery(json.dumps(words).encode(), "application/json", lasting=False)
