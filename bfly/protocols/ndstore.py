"""NDStore, of the former Open Connectome Project: metadata, cutouts and slices by token.

A token is a dataset, ``experiment::sample::dataset``. A resolution is a mip with x and y scaled.
z counts sections of mip 0; if a mip has fewer, each is repeated. So NDStore's ``neariso``
resolutions are the same as the plain ones. The protocol: https://github.com/neurodata/ndstore,
``docs/sphinx/api``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly import registry
from bfly.encoders.blosc import BloscArray
from bfly.encoders.unsigned import unsigned
from bfly.errors import Absent, BadRequest
from bfly.geometry import BoundingBox
from bfly.protocols.protocol import Protocol, by_token, channel_words, dataset_words, tokens
from bfly.queries.dataset import DatasetQuery
from bfly.queries.info import InfoQuery
from bfly.queries.slice import PLANES, SliceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.encoders.encoder import Encoder
    from bfly.queries.data import DataQuery

__all__ = ["NDStore", "NDStoreCutoutQuery", "ProjectQuery"]

SERVICES = ("sd", "ca")

SLICES = {"xy": "tif"}
"""Formats of slices by their plane; PNG unless stated."""

_SPAN = re.compile(r"(-?[0-9]{1,18})(?:,(-?[0-9]{1,18}))?")


class ProjectQuery(DatasetQuery):
    """A request for the metadata of a token."""

    @property
    @override
    def result(self) -> dict[str, Any]:
        mips = range(self.levels)
        extents = {str(mip): self._sections(self.extent(mip)) for mip in mips}
        tiles = {str(mip): self.known[0].volume.level(mip).tile for mip in mips}
        z, y, x = self.grid
        sizes = {
            "imagesize": {mip: box.shape[::-1] for mip, box in extents.items()},
            "offset": {mip: box.start[::-1] for mip, box in extents.items()},
            "voxelres": {str(mip): [x * 2**mip, y * 2**mip, z] for mip in mips},
        }
        return {
            "dataset": {
                "name": self.dataset,
                "description": self.dataset,
                "resolutions": list(mips),
                "scaling": "zslices",
                "scalinglevels": len(mips) - 1,
                **sizes,
                # Neuroglancer reads these only.
                **{f"neariso_{name}": values for name, values in sizes.items()},
                "cube_dimension": {mip: tile[::-1] for mip, tile in tiles.items()},
                "neariso_scaledown": {str(mip): 1 for mip in mips},
                "timerange": [0, 0],
            },
            "channels": {channel.name: _channel(channel) for channel in self.known},
            "metadata": {},
            "project": {"name": self.dataset, "description": self.dataset, "version": "0.0"},
        }

    def _sections(self, box: BoundingBox) -> BoundingBox:
        """Return a box with the z range of mip 0, in which cutouts of every mip count z."""
        (_, y, x), (_, j, i), whole = box.start, box.stop, self.extent(0)
        return BoundingBox((whole.start[0], y, x), (whole.stop[0], j, i))


class NDStoreCutoutQuery(SliceQuery):
    """A request for a cutout, in the file formats that NDStore's clients read.

    Parameters
    ----------
    channel : str
        Name of the channel, also of the group in an HDF5 file.
    **keywords
        Keywords of `SliceQuery`.
    """

    def __init__(self, channel: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._channel = channel

    @property
    @override
    def encoder(self) -> Encoder:
        if self.format == "hdf5":
            hdf5: Encoder = registry.load("encoders", "hdf5")(f"{self._channel}/CUTOUT")
            return hdf5
        return BloscArray() if self.format == "blosc" else super().encoder


class NDStore(Protocol):
    """``/nd/sd/…``, ``/nd/ca/…`` and ``/ocp/ca/…``, all the same."""

    prefixes: ClassVar[tuple[str, ...]] = ("nd", "ocp")

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        service, _, rest = path.partition("/")
        if service not in SERVICES:
            raise Absent(f"There is no service {service}, only {list(SERVICES)}.")
        match rest.strip("/").removesuffix("/neariso").split("/"):
            case ["public_tokens"]:
                return InfoQuery(method="datasets", list=tokens(self.config))
            case [token, "info"]:
                return ProjectQuery(**dataset_words(self.config, token))
            case [token, channel, kind, mip, x, y, z]:
                return self._cutout(token, channel, kind, mip, (x, y, z))
        raise Absent(
            f"There is no {rest}, only public_tokens/, TOKEN/info/, TOKEN/CHANNEL/xy/R/x,x/y,y/z/ "
            "(or xz, yz) and TOKEN/CHANNEL/FORMAT/R/x,x/y,y/z,z/."
        )

    def _cutout(
        self, token: str, name: str, kind: str, mip: str, spans: tuple[str, str, str]
    ) -> NDStoreCutoutQuery:
        channel, _ = by_token(self.config, f"{token}/{name}")
        (x, width), (y, height), (z, depth) = map(_span, "xyz", spans)
        plane = kind.lower()
        if plane not in PLANES:
            plane, file = "xy", kind
        elif (depth, height, width)[PLANES[plane][0]] == 1:
            file = SLICES.get(plane, "png")
        else:
            raise BadRequest(f"The slice {'/'.join(spans)} is not one section of the plane {kind}.")
        return NDStoreCutoutQuery(
            **channel_words(channel),
            channel=name,
            plane=plane,
            format=file,
            resolution=mip,
            z=z,
            y=y,
            x=x,
            depth=depth,
            height=height,
            width=width,
        )


def _span(axis: str, text: str) -> tuple[int, int]:
    """Parse ``start,stop`` or one position into the start and the extent."""
    span = _SPAN.fullmatch(text)
    if span is None:
        raise BadRequest(f"The {axis} {text} is neither a whole number nor start,stop.")
    start = int(span[1])
    stop = start + 1 if span[2] is None else int(span[2])
    if stop <= start:
        raise BadRequest(f"The {axis} {text} is empty: the stop must be greater than the start.")
    return start, stop - start


def _channel(channel: InfoQuery) -> dict[str, Any]:
    volume = channel.volume
    return {
        "channel_type": "annotation" if volume.kind == "segmentation" else "image",
        # NDStore has no signed datatypes; the formats of cutouts state their own dtype.
        "datatype": unsigned(volume.dtype).name,
        "description": channel.name,
        "exceptions": 0,
        "propagate": 2,
        "readonly": 1,
        "resolution": 0,
        "windowrange": [0, 0],
    }
