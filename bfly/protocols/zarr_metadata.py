"""Metadata of OME-Zarr 0.4 (zarr v2) and 0.5 (zarr v3): groups, arrays and labels.

The formats: https://zarr-specs.readthedocs.io and https://ngff.openmicroscopy.org. Positions in
OME-Zarr are voxel centres, in nanometres, or in voxels if their size is unknown.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.encoders.blosc import BLOSC_LEVEL
from bfly.encoders.zstd import ZSTD_LEVEL
from bfly.protocols.chunk_grid import DocumentQuery, block_shape, centre
from bfly.protocols.zarr_attributes import SPACE, array_attributes, omero

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.sources.mips import VoxelSize
    from bfly.volumes.volume import Volume

__all__ = ["COMPRESSORS", "Zarr2Query", "Zarr3Query", "ZarrQuery"]

COMPRESSORS = ("zstd", "blosc")
"""Compressors of chunks, named as their encoders. The first one is the default."""

IMAGE = "../../"
"""Relative path from a label image to its image."""


class ZarrQuery(DocumentQuery):
    """A request for metadata of either version.

    Parameters
    ----------
    **keywords
        Keywords of `DocumentQuery`; ``channels`` are the possible labels of the channel.
    """

    compressor = COMPRESSORS[0]

    count = 0
    """Channels of a group, which are an axis before z; 0 for a single channel, without the axis."""

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        if self.volume.kind == "segmentation":
            self.channels = []
        # The labels also depend on files of other channels.
        self.lasting = not self.channels

    @property
    def label_images(self) -> dict[str, Volume]:
        """Labels of an image by name: its dataset's segmentations with the same voxel sizes.

        OME-Zarr requires as many mips as the image has. Their positions may differ.
        """
        if self.count:
            return {}
        sizes = _voxel_sizes(self.volume)
        volumes = {channel.name: channel.volume for channel in self.known}
        return {
            name: volume
            for name, volume in volumes.items()
            if volume.kind == "segmentation" and _voxel_sizes(volume) == sizes
        }

    @property
    @override
    def documents(self) -> dict[str, Any]:
        """The group with its arrays and, for an image, the group of its labels."""
        files = self.group(self.volume, self.name)
        labels = self.label_images
        if labels:
            files |= {f"labels/{file}": words for file, words in self.listing(list(labels)).items()}
        for name, volume in labels.items():
            group = self.consolidated(self.group(volume, name, IMAGE))
            files |= {f"labels/{name}/{file}": words for file, words in group.items()}
        return self.consolidated(files)

    def led(self, first: Any, values: Iterable[Any]) -> list[Any]:
        """Return values for z, y and x, after one for channels if there is that axis."""
        return [*([first] if self.count else []), *values]

    def _multiscale(self, volume: Volume, name: str) -> dict[str, Any]:
        """Return the description of all mips, the same in both versions.

        Axes have no unit if the voxel size is unknown; then lengths count voxels.
        """
        unit = {"unit": "nanometer"} if volume.has_voxel_size else {}
        space = [{"name": axis, "type": "space", **unit} for axis in SPACE]
        return {
            "name": name,
            "type": "mean" if volume.kind == "image" else "mode",
            "axes": self.led({"name": "c", "type": "channel"}, space),
            "datasets": [
                {
                    "path": str(mip),
                    "coordinateTransformations": [
                        {"type": "scale", "scale": self.led(1, volume.voxel_size_at(mip))},
                        {"type": "translation", "translation": self.led(0, centre(volume, mip))},
                    ],
                }
                for mip in range(volume.levels)
            ],
        }

    def _attributes(self, volume: Volume, mip: int) -> dict[str, Any]:
        """Return the attributes of an array, for clients that open it alone."""
        return array_attributes(volume, mip, has_channels=bool(self.count))

    def _shown(self, volume: Volume, name: str) -> dict[str, Any]:
        """Return how an image is shown, as attributes of its group; empty for labels."""
        group = [(channel.name, channel.volume) for channel in self.known] if self.count else []
        if volume.kind != "image" or len(group) != self.count:
            return {}
        return {"omero": omero(volume, group or [(name, volume)])}

    @abstractmethod
    def group(self, volume: Volume, name: str, image: str = "") -> dict[str, Any]:
        """Return the metadata of a multiscale image and its arrays, by path.

        ``image`` is the path from a label image to its image.
        """

    @abstractmethod
    def listing(self, labels: list[str]) -> dict[str, Any]:
        """Return the metadata of the group of an image's labels, by path."""

    @abstractmethod
    def consolidated(self, files: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata of a group and all below it, with a consolidated document."""


class Zarr2Query(ZarrQuery):
    """A request for one of ``.zgroup``, ``.zattrs``, ``.zmetadata``, ``MIP/.zarray``, …."""

    @override
    def group(self, volume: Volume, name: str, image: str = "") -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "multiscales": [{"version": "0.4", **self._multiscale(volume, name)}],
            **self._shown(volume, name),
        }
        if volume.kind == "segmentation":
            attributes["image-label"] = {"version": "0.4", **_source(image)}
        files: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
        for mip in range(volume.levels):
            files[f"{mip}/.zarray"] = self._array(volume, mip)
            files[f"{mip}/.zattrs"] = {
                "_ARRAY_DIMENSIONS": self.led("c", SPACE),
                **self._attributes(volume, mip),
            }
        return files

    @override
    def listing(self, labels: list[str]) -> dict[str, Any]:
        return {".zgroup": {"zarr_format": 2}, ".zattrs": {"labels": labels}}

    @override
    def consolidated(self, files: dict[str, Any]) -> dict[str, Any]:
        metadata = {file: words for file, words in files.items() if not file.endswith(".zmetadata")}
        return {**files, ".zmetadata": {"zarr_consolidated_format": 1, "metadata": metadata}}

    def _array(self, volume: Volume, mip: int) -> dict[str, Any]:
        compressors = {
            "zstd": {"id": "zstd", "level": ZSTD_LEVEL},
            "blosc": {
                "id": "blosc",
                "cname": "zstd",
                "clevel": BLOSC_LEVEL,
                "shuffle": 1,
                "blocksize": 0,
            },
        }
        return {
            "zarr_format": 2,
            "shape": self.led(self.count, volume.level(mip).whole.shape),
            "chunks": self.led(1, block_shape(volume, 0)),
            "dtype": volume.dtype.newbyteorder("<").str,
            "compressor": compressors[self.compressor],
            "filters": None,
            "fill_value": 0,
            "order": "C",
            "dimension_separator": "/",
        }


class Zarr3Query(ZarrQuery):
    """A request for ``zarr.json`` or ``MIP/zarr.json``."""

    @override
    def group(self, volume: Volume, name: str, image: str = "") -> dict[str, Any]:
        ome: dict[str, Any] = {
            "multiscales": [self._multiscale(volume, name)],
            **self._shown(volume, name),
        }
        if volume.kind == "segmentation":
            ome["image-label"] = _source(image)
        arrays = {f"{mip}/zarr.json": self._array(volume, mip) for mip in range(volume.levels)}
        return {"zarr.json": _group3(ome), **arrays}

    @override
    def listing(self, labels: list[str]) -> dict[str, Any]:
        return {"zarr.json": _group3({"labels": labels})}

    @override
    def consolidated(self, files: dict[str, Any]) -> dict[str, Any]:
        below = {
            file.removesuffix("/zarr.json"): {
                word: value for word, value in words.items() if word != "consolidated_metadata"
            }
            for file, words in files.items()
            if file != "zarr.json"
        }
        inline = {"kind": "inline", "must_understand": False, "metadata": below}
        return {**files, "zarr.json": {**files["zarr.json"], "consolidated_metadata": inline}}

    def _array(self, volume: Volume, mip: int) -> dict[str, Any]:
        compressors: dict[str, dict[str, Any]] = {
            "zstd": {"level": ZSTD_LEVEL, "checksum": False},
            "blosc": {
                "cname": "zstd",
                "clevel": BLOSC_LEVEL,
                "shuffle": "shuffle",
                "typesize": volume.dtype.itemsize,
                "blocksize": 0,
            },
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.led(self.count, volume.level(mip).whole.shape),
            "data_type": volume.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": self.led(1, block_shape(volume, 0))},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": self.compressor, "configuration": compressors[self.compressor]},
            ],
            "fill_value": 0,
            "dimension_names": self.led("c", SPACE),
            "attributes": self._attributes(volume, mip),
        }


def _group3(ome: dict[str, Any]) -> dict[str, Any]:
    attributes = {"ome": {"version": "0.5", **ome}}
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _source(image: str) -> dict[str, Any]:
    return {"source": {"image": image}} if image else {}


def _voxel_sizes(volume: Volume) -> list[VoxelSize]:
    return [volume.voxel_size_at(mip) for mip in range(volume.levels)]
