"""Neuroglancer precomputed volumes: ``info`` and chunks at every mip, in four encodings.

The format: ``src/datasource/precomputed/volume.md`` in the Neuroglancer repository. Its order is
x, y, z. A raw chunk holds the voxels in Fortran order of (x, y, z, channel), which is C order of
channel and zyx. A JPEG or PNG chunk is an image of width x and height y times z.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args

from typing_extensions import override

from bfly.config.tree import Encoding
from bfly.encoders.compressed_segmentation import BLOCK
from bfly.encoders.unsigned import as_unsigned, unsigned
from bfly.errors import Absent
from bfly.protocols.annotations import PROPERTIES, annotation_query
from bfly.protocols.channel_group import channel_group
from bfly.protocols.chunk_grid import block_shape
from bfly.protocols.drawn import collection_query
from bfly.protocols.protocol import Protocol, by_token, channel_words
from bfly.queries.cutout import MOST_HALVINGS
from bfly.queries.data import BoxQuery, DataQuery
from bfly.queries.info import InfoQuery
from bfly.queries.mesh import FOLDER, MeshQuery
from bfly.queries.multires import MULTIRES, MultiresQuery
from bfly.queries.skeleton import FOLDER as SKELETONS
from bfly.queries.skeleton import SkeletonFileQuery
from bfly.queries.stored_file import StoredFileQuery
from bfly.volumes.stored_layers import offered_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from bfly.config.tree import Channel
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ChunkQuery", "GroupChunkQuery", "Precomputed", "VolumeQuery", "chunk_query"]

Q = TypeVar("Q", bound="ChunkQuery")

WHOLE = 100
"""Percentage of an index that is there."""

_CHUNK_PATH = re.compile(
    r"([0-9]{1,18})/(-?[0-9]{1,18})-(-?[0-9]{1,18})_(-?[0-9]{1,18})-(-?[0-9]{1,18})_(-?[0-9]{1,18})-(-?[0-9]{1,18})"
)

_KINDS: dict[str, type[StoredFileQuery]] = {
    FOLDER: MeshQuery,
    MULTIRES: MultiresQuery,
    SKELETONS: SkeletonFileQuery,
}
"""Kind of query for the files of a folder below the volume."""


class _Encoded:
    """Base of requests for a volume in one of the encodings."""

    encoding = "raw"

    def check_encoding(self, volume: Volume) -> None:
        """Raise `Absent` if the encoding cannot hold the volume's voxels."""
        dtype, kind = volume.dtype.name, volume.kind
        wide = unsigned(volume.dtype).name in ("uint32", "uint64")
        allowed = {
            "raw": True,
            "jpeg": dtype == "uint8" and kind == "image",
            "png": dtype in ("uint8", "uint16"),
            "compressed_segmentation": wide and kind == "segmentation",
        }
        if not allowed[self.encoding]:
            fitting = [encoding for encoding, fits in allowed.items() if fits]
            raise Absent(f"The encoding {self.encoding} of {dtype} ({kind}) is not in {fitting}.")

    def sent(self, volume: Volume) -> np.dtype[Any]:
        """Return the dtype of the chunks.

        The format has int8, int16 and int32, but no int64, and compressed_segmentation has
        unsigned labels only.
        """
        dtype = volume.dtype
        has_it = dtype.itemsize < 8 and self.encoding != "compressed_segmentation"
        return dtype if has_it else unsigned(dtype)


class VolumeQuery(_Encoded, InfoQuery):
    """A request for the ``info`` of a volume."""

    method = "precompute_info"

    count = 1
    """Channels of the volume."""

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        self.wants_neurons = self.kind_of_layer == "segmentation"
        # Whether the dataset has neurons can change while the server runs.
        self.lasting = not self.wants_neurons

    @property
    def kind_of_layer(self) -> str:
        """Kind of the volume; Neuroglancer has no segmentations of several channels."""
        return self.volume.kind if self.count == 1 else "image"

    @property
    def result(self) -> dict[str, Any]:
        """The ``info``: one scale for each mip, down to a section of one chunk."""
        volume = self.volume
        self.check_encoding(volume)
        properties = {"segment_properties": PROPERTIES}
        is_indexed = self.count == 1 and (self.segments or {}).get("index") == WHOLE
        stored = offered_layers(volume) if self.count == 1 else {}
        folder = MULTIRES if self.has_multires else FOLDER if self.has_meshes else None
        # The format requires a resolution in nanometres.
        assumed = (
            {} if volume.has_voxel_size else {"voxel_size_source": volume.source.voxel_size_source}
        )
        return {
            "@type": "neuroglancer_multiscale_volume",
            **assumed,
            "type": self.kind_of_layer,
            "data_type": self.sent(volume).name,
            "num_channels": self.count,
            "scales": [self._scale(volume, mip) for mip in range(volume.levels)],
            **({"mesh": folder} if folder and self.count == 1 else {}),
            **({"skeletons": SKELETONS} if self.has_skeletons and self.count == 1 else {}),
            **(properties if is_indexed else {}),
            **stored,
            **(properties if self.has_neurons else {}),
        }

    def _scale(self, volume: Volume, mip: int) -> dict[str, Any]:
        level, nanometres = volume.level(mip), volume.voxel_size_at(mip)[::-1]
        scale: dict[str, Any] = {
            "key": str(mip),
            "size": level.whole.shape[::-1],
            "resolution": [int(size) if size == int(size) else size for size in nanometres],
            "voxel_offset": level.origin[::-1],
            "chunk_sizes": [block_shape(volume, mip)[::-1]],
            "encoding": self.encoding,
        }
        if self.encoding == "compressed_segmentation":
            scale["compressed_segmentation_block_size"] = BLOCK
        return scale


class ChunkQuery(_Encoded, BoxQuery):
    """A request for a chunk, which has to be inside the volume."""

    @property
    def shown_kind(self) -> str:
        """Always ``image``: chunks hold the voxels themselves, never colours."""
        return "image"

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        Absent
            There is no such mip or encoding, or the chunk is not inside the volume.
        """
        super().update_source(keywords)
        self.check_encoding(self.volume)
        # Stored int64 may be negative, so it is not passed through.
        self.plain = self.sent(self.volume) == self.volume.dtype
        mip, whole = self.resolution, self.whole
        if mip >= self.volume.levels or self.box not in whole:
            raise Absent(
                f"There is no chunk {self.box.start} to {self.box.stop} (zyx) at mip {mip}; "
                f"the volume is {whole.start} to {whole.stop} and has {self.volume.levels} mips."
            )

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Return the voxels in the dtype of the chunks.

        Raises
        ------
        BadRequest
            A voxel is negative, in a dtype that is sent as an unsigned one.
        """
        if self.plain:
            return voxels
        return as_unsigned(voxels, f"{self.path} is sent as precomputed, which")


class GroupChunkQuery(ChunkQuery):
    """A request for a chunk with several channels: raw, one after the other.

    Parameters
    ----------
    members : list of ChunkQuery
        The chunk in each channel.
    **keywords
        Keywords of the first one.
    """

    lasting = False  # the files of the other channels are not watched for it

    def __init__(self, members: Sequence[ChunkQuery], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.members = members

    @property
    @override
    def nbytes(self) -> int:
        return super().nbytes * len(self.members)

    @property
    @override
    def memory(self) -> int:
        return super().memory * len(self.members)


class Precomputed(Protocol):
    """``/pre/{address}/…``, or ``/pre/{address}/{encoding}/…``.

    All channels of a file are one volume, ``NAME-all``, in the encoding raw.
    """

    prefixes: ClassVar[tuple[str, ...]] = ("pre",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        path = self.config.addresses.former(path)
        token, name, file = (*path.split("/", 2), "", "")[:3]
        if group := channel_group(self.config, token, name):
            return _group_query(group, file)
        channel, rest = by_token(self.config, path)
        first, _, below = rest.partition("/")
        encoding: str = channel.encoding or "raw"
        if first in get_args(Encoding):
            encoding, rest = first, below
        words = channel_words(channel)
        if annotations := annotation_query(rest, {**words, "labelled": (channel.path,)}):
            return annotations
        if drawn := collection_query(self.config, path, rest, words):
            return drawn
        query: ChunkQuery | VolumeQuery
        if "/" in rest and not _CHUNK_PATH.fullmatch(rest):
            kind = _KINDS.get(rest.partition("/")[0], StoredFileQuery)
            return kind(file=rest, **words)
        if rest == "info":
            query = VolumeQuery(name=channel.name, **words)
        else:
            query = chunk_query(ChunkQuery, rest, {**words, "format": encoding})
        query.encoding = encoding
        return query


def chunk_query(kind: type[Q], rest: str, words: dict[str, Any]) -> Q:
    """Return the query of a chunk by its path below the volume, ``MIP/X-X_Y-Y_Z-Z``.

    Raises
    ------
    Absent
        It is no such path, or the chunk is empty.
    """
    chunk = _CHUNK_PATH.fullmatch(rest)
    if chunk is None or int(chunk[1]) > MOST_HALVINGS:
        raise Absent(f"There is no /{rest} in a volume, only /info and /MIP/X-X_Y-Y_Z-Z.")
    mip, x, x_stop, y, y_stop, z, z_stop = map(int, chunk.groups())
    if x >= x_stop or y >= y_stop or z >= z_stop:
        raise Absent(f"The chunk {rest} is empty.")
    shape = {"depth": z_stop - z, "height": y_stop - y, "width": x_stop - x}
    return kind(z=z, y=y, x=x, resolution=mip, **shape, **words)


def _group_query(group: Sequence[Channel], file: str) -> ChunkQuery | VolumeQuery:
    words = [channel_words(channel) for channel in group]
    if file.removeprefix("raw/") == "info":
        query = VolumeQuery(name=group[0].name, **words[0])
        query.count = len(group)
        return query
    file = file.removeprefix("raw/")
    members = [chunk_query(ChunkQuery, file, {**each, "format": "raw"}) for each in words]
    first = members[0]
    box = {word: getattr(first, word) for word in ("z", "y", "x", "depth", "height", "width")}
    return GroupChunkQuery(
        members, **words[0], **box, resolution=first.resolution, format=first.format
    )
