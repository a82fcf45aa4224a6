"""Datasets for KNOSSOS: a ``.k.toml`` that it opens, and the cubes that it then asks for.

What KNOSSOS asks for: ``dataset.cpp`` and ``loader.cpp`` of
https://github.com/knossos-project/knossos. It counts mags from 1, and voxels from 0 of the dataset;
a cube that is answered with 404 is blank. knossos_utils asks for the folder of each mag first.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from bfly.encoders.snappy_zip import SnappyZip
from bfly.errors import Absent
from bfly.protocols.protocol import Protocol, channel_words, dataset_words
from bfly.queries.cutout import MOST_HALVINGS
from bfly.queries.data import BoxQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bfly.encoders.encoder import Encoder
    from bfly.queries.data import DataQuery
    from bfly.volumes.volume import Volume

__all__ = ["CubeQuery", "Knossos", "LayersQuery", "MagQuery"]

SIDE = 128
"""Voxels of a cube along each axis, as KNOSSOS has it by default."""

DOCUMENT = ".k.toml"

IMAGE, LABELS = ".raw", ".seg.sz.zip"
"""Endings of cubes."""

_CUBE = re.compile(
    r"mag(?P<mag>[0-9]{1,2})/x(?P<x>[0-9]{4,9})/y(?P<y>[0-9]{4,9})/z(?P<z>[0-9]{4,9})/"
    r"[^/]+_x(?P=x)_y(?P=y)_z(?P=z)(?P<ending>\.[a-z.]+)"
)

_MAG = re.compile(r"mag([0-9]{1,2})/?")


def ending_of(volume: Volume, name: str) -> str:
    """Return the ending of the cubes of a channel.

    Raises
    ------
    Absent
        KNOSSOS does not show such voxels.
    """
    dtype: np.dtype[Any] = volume.dtype
    if volume.kind == "segmentation" and dtype.kind in "iu":
        return LABELS
    if dtype == "u1":
        return IMAGE
    raise Absent(
        f"KNOSSOS shows no {dtype} image, which {name} is; it shows images of uint8, and labels."
    )


class LayersQuery(DatasetQuery):
    """A request for a ``.k.toml``.

    Parameters
    ----------
    address : str
        Address of the dataset in this protocol.
    **keywords
        Keywords of `DatasetQuery`; `channels` has the layers. One that KNOSSOS does not show is
        left out if there are others.
    """

    def __init__(self, address: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._address = address

    @property
    @override
    def result(self) -> str:
        layers, refused = [], None
        for channel in self.known:
            try:
                layers.append(self._layer(channel))
            except Absent as error:
                refused = error
        if refused and not layers:
            raise refused
        return "\n".join(layers)

    def _layer(self, channel: InfoQuery) -> str:
        """Return the table of a channel."""
        volume, name = channel.volume, channel.name
        mips = range(volume.levels)
        fields = {
            "Name": name,
            "URL": f"{self._address}/{quote(name)}",
            "Description": f"{self.dataset}, {name}",
            "FileExtension": [ending_of(volume, name)],
            "Extent_px": volume.level(0).place.stop[::-1],
            "CubeShape_px": [SIDE] * 3,
            "VoxelSize_nm": [volume.voxel_size_at(mip)[::-1] for mip in mips],
        }
        # Values of TOML are as in JSON.
        lines = (
            f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items()
        )
        return "[[Layer]]\n" + "".join(lines)

    @override
    def _text(self, answer: str) -> str:
        return answer

    @property
    @override
    def mime_type(self) -> str:
        return "application/toml"


class MagQuery(InfoQuery):
    """A request for the folder of a mag, to learn whether there is one.

    Parameters
    ----------
    mip : int
        The mip.
    **keywords
        Keywords of `InfoQuery`.
    """

    def __init__(self, mip: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._mip = mip

    @property
    @override
    def result(self) -> Any:
        """The voxel size; raise `Absent` if there is no such mag."""
        levels = self.volume.levels
        if not 0 <= self._mip < levels:
            raise Absent(f"There is no mag {self._mip + 1}; there are 1 to {levels}.")
        return {"VoxelSize_nm": self.volume.voxel_size_at(self._mip)[::-1]}


class CubeQuery(BoxQuery):
    """A request for a cube; voxels outside the volume are 0.

    Parameters
    ----------
    ending : str
        Ending of the name of the cube.
    **keywords
        Keywords of `BoxQuery`.
    """

    def __init__(self, ending: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._ending = ending

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        Absent
            There is no such mag, no such file, or the cube is outside the volume.
        """
        super().update_source(keywords)
        ending = ending_of(self.volume, self.path)
        if ending != self._ending:
            raise Absent(f"There are no cubes {self._ending} of this channel, only {ending}.")
        level = self.volume.level(self.resolution)
        if self.resolution >= self.volume.levels or not (self.box & level.place).size:
            raise Absent(
                f"There is no cube at {self.box.start} (zyx) of mag {self.resolution + 1}."
            )

    @property
    @override
    def encoder(self) -> Encoder:
        return SnappyZip() if self._ending == LABELS else super().encoder


class Knossos(Protocol):
    """``/knossos/{experiment}/{sample}/{dataset}.k.toml``, ``…/{dataset}/{channel}.k.toml``.

    Cubes are below the address of their channel: ``…/{channel}/mag1/x0000/y0000/z0000/…``.
    """

    prefixes: ClassVar[tuple[str, ...]] = ("knossos",)
    needs_address = True

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        words, rest = path.split("/", 4)[:4], path.split("/", 4)[4:]
        if not rest and len(words) > 2 and path.endswith(DOCUMENT):
            return self._layers(words, parameters.get("address", ""))
        if len(words) == 4 and rest:
            keywords = channel_words(self.config.find(*words))
            if cube := _CUBE.fullmatch(rest[0]):
                return _cube(cube, keywords)
            if mag := _MAG.fullmatch(rest[0]):
                return MagQuery(int(mag[1]) - 1, name=words[3], **keywords)
        raise Absent(
            f"There is no {path}, only EXPERIMENT/SAMPLE/DATASET.k.toml, …/DATASET/CHANNEL.k.toml "
            "and …/CHANNEL/mag1/x0000/y0000/z0000/NAME_x0000_y0000_z0000.raw or .seg.sz.zip."
        )

    def _layers(self, words: list[str], server: str) -> LayersQuery:
        """Return the query of the channels of a dataset, or of one of them."""
        experiment, sample, dataset = (*words[:2], words[2].removesuffix(DOCUMENT))
        found = dataset_words(self.config, f"{experiment}::{sample}::{dataset}")
        if len(words) == 4:
            dataset = words[2]
            name = words[3].removesuffix(DOCUMENT)
            channel = self.config.find(experiment, sample, dataset, name)
            token = f"{experiment}::{sample}::{dataset}"
            found = {"dataset": token, "channels": [{"name": name, **channel_words(channel)}]}
        place = "/".join(quote(word, safe="") for word in (experiment, sample, dataset))
        return LayersQuery(f"{server}/knossos/{place}", **found)


def _cube(cube: re.Match[str], keywords: dict[str, Any]) -> CubeQuery:
    mip = int(cube["mag"]) - 1
    if not 0 <= mip <= MOST_HALVINGS:
        raise Absent(f"There is no mag {cube['mag']}.")
    start = {axis: SIDE * int(cube[axis]) for axis in "zyx"}
    shape = dict.fromkeys(("depth", "height", "width"), SIDE)
    return CubeQuery(cube["ending"], resolution=mip, format="raw", **start, **shape, **keywords)
