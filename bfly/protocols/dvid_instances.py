"""What DVID's clients ask about repositories and data instances: documents in JSON.

A repository is a dataset with one version, whose UUID is a hash of its names. Its instances are
the channels. The documents have the fields that DVID itself gives (``datastore/repo_local.go``,
``datatype/imageblk`` and ``datatype/labelmap`` of https://github.com/janelia-flyem/dvid), as far as
they are true here.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.errors import Absent
from bfly.queries.dataset import DatasetQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bfly.volumes.volume import Volume

__all__ = [
    "SIDE",
    "InstanceQuery",
    "RepositoriesQuery",
    "check_scale",
    "finer_instance",
    "sent_dtype",
    "uuid_of",
]

SIDE = 64
"""Voxels along a side of a block."""

IMAGES = {name: f"{name}blk" for name in ("uint8", "uint16", "uint32", "uint64", "float32")}
"""DVID's types of images, by dtype."""

_LEVEL = re.compile("(.+)_([1-9][0-9]?)")


def uuid_of(token: str) -> str:
    """Return the UUID of a dataset ``experiment::sample::dataset``: 32 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def finer_instance(name: str, names: Collection[str]) -> tuple[str, int] | None:
    """Return the instance and the scale that a name means; None if it means none.

    Clients take ``NAME_1``, ``NAME_2`` and so on for ``NAME`` with half, a quarter and so on of its
    voxels along each axis.
    """
    if name in names:
        return name, 0
    level = _LEVEL.fullmatch(name)
    return (level[1], int(level[2])) if level and level[1] in names else None


def scales(volume: Volume) -> int:
    """Return the highest scale: DVID halves all three axes, so mips that do not are none."""
    scale = 0
    while scale + 1 < volume.levels and volume.level(scale + 1).factor == (2 ** (scale + 1),) * 3:
        scale += 1
    return scale


def check_scale(volume: Volume, scale: int) -> None:
    """Raise `Absent` if a volume has no such scale."""
    if scale > (most := scales(volume)):
        raise Absent(
            f"There is no scale {scale} of {volume.source.path}; there are 0 to {most}, at which "
            "all three axes are halved alike."
        )


def sent_dtype(volume: Volume) -> str:
    """Return the dtype in which a channel is sent: labels are uint64.

    Raises
    ------
    Absent
        DVID has no images of the channel's dtype.
    """
    if volume.kind == "segmentation":
        return "uint64"
    if volume.dtype.name not in IMAGES:
        raise Absent(
            f"{volume.source.path} is an image of {volume.dtype.name}; DVID has {list(IMAGES)}."
        )
    return volume.dtype.name


class InstanceQuery(InfoQuery):
    """A request for the metadata of an instance.

    Parameters
    ----------
    part : {"info", "metadata"}
        The document: DVID's properties, or the layout of n-dimensional data.
    scale : int
        Scale of the instance.
    **keywords
        Keywords of `InfoQuery`; the dataset too.
    """

    def __init__(self, part: str = "info", scale: int = 0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._part, self._scale = part, scale

    @property
    @override
    def result(self) -> dict[str, Any]:
        check_scale(self.volume, self._scale)
        found = described(self, self._scale)
        if self._part == "info":
            return found
        extended = found["Extended"]
        first, last = extended["MinPoint"], extended["MaxPoint"]
        axes = [
            {"Label": label, "Resolution": step, "Units": unit, "Size": b - a + 1, "Offset": a}
            for label, step, unit, a, b in zip(
                "XYZ", extended["VoxelSize"], extended["VoxelUnits"], first, last, strict=True
            )
        ]
        return {"Axes": axes, "Properties": extended}


class RepositoriesQuery(DatasetQuery):
    """A request for the metadata of repositories, with the channels that can be read.

    Parameters
    ----------
    one : bool
        Whether the answer is that of one repository, or a mapping from UUIDs to them.
    datasets : iterable of str
        The tokens of the datasets.
    **keywords
        Keywords of `InfoQuery`; the words of a channel in ``channels`` have its ``dataset``.
    """

    def __init__(self, datasets: Iterable[str] = (), one: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._datasets, self._one = tuple(datasets), one

    @override
    def dump_dataset(self, all_channels: Iterable[InfoQuery]) -> str:
        known: dict[str, list[InfoQuery]] = {token: [] for token in self._datasets}
        for channel in all_channels:
            known[channel.dataset].append(channel)
        found = {uuid_of(token): _repository(token, channels) for token, channels in known.items()}
        return json.dumps(next(iter(found.values())) if self._one else found)


def _repository(token: str, channels: list[InfoQuery]) -> dict[str, Any]:
    """Return the metadata of a repository; coarser scales of an image are instances."""
    names = {channel.name for channel in channels}
    instances, omitted = {}, []
    for channel in channels:
        level, volume = _LEVEL.fullmatch(channel.name), channel.volume
        if level and level[1] in names:
            omitted.append(f"{channel.name} (its name is that of a scale of {level[1]})")
        elif volume.kind == "image" and volume.dtype.name not in IMAGES:
            omitted.append(f"{channel.name} (an image of {volume.dtype.name})")
        else:
            instances[channel.name] = described(channel, 0)
            for scale in range(1, 1 + scales(volume) * (volume.kind == "image")):
                if (name := f"{channel.name}_{scale}") in names:
                    break
                instances[name] = described(channel, scale)
    uuid = uuid_of(token)
    node = {"Branch": "", "Note": "", "Log": [], "UUID": uuid, "VersionID": 1, "Locked": True}
    return {
        "Root": uuid,
        "Alias": token.replace("::", "/"),
        "Description": f"Without {', '.join(omitted)}." if omitted else "",
        "Log": [],
        "Properties": {},
        "DataInstances": instances,
        "DAG": {"Root": uuid, "Nodes": {uuid: {**node, "Parents": [], "Children": []}}},
    }


def described(channel: InfoQuery, scale: int) -> dict[str, Any]:
    """Return the metadata of an instance: x, y, z; the last point is inside."""
    volume, uuid = channel.volume, uuid_of(channel.dataset)
    dtype, is_image = sent_dtype(volume), volume.kind == "image"
    level, size = volume.level(scale), volume.voxel_size_at(scale)
    kind = IMAGES[dtype] if is_image else "labelmap" if scales(volume) else "labelblk"
    points = {
        "MinPoint": list(level.place.start[::-1]),
        "MaxPoint": [stop - 1 for stop in level.place.stop[::-1]],
    }
    # Clients require at least one scale of a labelmap.
    scaled = {"MaxDownresLevel": scales(volume)} if kind == "labelmap" else {}
    return {
        "Base": {
            "TypeName": kind,
            "TypeURL": f"github.com/janelia-flyem/dvid/datatype/{kind}",
            "TypeVersion": "",
            "Name": f"{channel.name}_{scale}" if scale else channel.name,
            "RepoUUID": uuid,
            "Compression": "none",
            "Checksum": "none",
            "Syncs": [],
            "Versioned": False,
        },
        "Extended": {
            "Values": [{"DataType": dtype, "Label": kind}],
            "Interpolable": is_image,
            "BlockSize": [SIDE] * 3,
            "VoxelSize": list(size[::-1]),
            "VoxelUnits": ["nanometers" if volume.has_voxel_size else ""] * 3,
            **points,
            **scaled,
            "Background": 0,
        },
        "Extents": points,
    }
