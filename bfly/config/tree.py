"""The configured tree: experiments, samples, datasets, channels, each checked and frozen.

The description of a field says what is allowed in it, and is part of the message for a mistake
(see `bfly.config.error_messages`).
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from bfly.storage.files import is_url

__all__ = [
    "Channel",
    "Dataset",
    "Experiment",
    "Neurons",
    "Sample",
    "Synapses",
    "absolute",
    "check_name",
]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)

_PATH = "a path, relative ones as seen from this file's folder"
_NAME = "text without '/' and '::', not blank, '.' or '..', and without ':' at either end"


def check_name(name: str) -> str:
    """Return a name unchanged if it can be part of an address.

    Raises
    ------
    ValueError
        It cannot, since ``/`` and ``::`` separate names there; the message says what is allowed.
    """
    encodable = name.encode(errors="replace").decode()
    fit = name.strip() and name not in (".", "..") and name == name.strip(":") == encodable
    if not fit or "/" in name or "::" in name:
        raise ValueError(_NAME)
    return name


def absolute(path: str, folder: str) -> str:
    """Return a path as an absolute path, relative to a folder; ``~`` is expanded."""
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _expand(path: str, info: ValidationInfo) -> str:
    """Return a path as an absolute path, relative to the folder of the YAML file."""
    if "\0" in path:
        raise ValueError("a path without NUL")
    return absolute(path, (info.context or {}).get("folder", ""))


def _unique(items: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check siblings, and that their names differ, and raise all mistakes together."""
    mistakes = []
    first: dict[str, int] = {}
    for index, item in enumerate(items if isinstance(items, (list, tuple)) else ()):
        name = item.get("name") if isinstance(item, dict) else getattr(item, "name", None)
        if isinstance(name, str) and first.setdefault(name, index) != index:
            error = PydanticCustomError("repeated", "repeated", {"first": first[name]})
            mistakes.append(InitErrorDetails(type=error, loc=(index, "name"), input=name))
    try:
        checked = check(items)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            again = PydanticCustomError(one["type"], one["type"], one.get("ctx"))
            mistakes.append(InitErrorDetails(type=again, loc=one["loc"], input=one["input"]))
    if mistakes:
        raise ValidationError.from_exception_data("names", mistakes)
    return checked


Int = Annotated[int, Strict()]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
AbsolutePath = Annotated[str, Field(min_length=1), AfterValidator(_expand)]

PathOrUrl = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(lambda path, info: path if is_url(path) else _expand(path, info)),
]

Name = Annotated[str, AfterValidator(check_name), Field(description=_NAME)]
Path = Annotated[AbsolutePath, Field(description=_PATH)]
PathOrNone = Annotated[AbsolutePath | None, Field(description=_PATH)]
Group = Annotated[tuple[T, ...], WrapValidator(_unique)]
Kind = Literal["image", "segmentation"]
Encoding = Literal["raw", "jpeg", "png", "compressed_segmentation"]
Size = Annotated[int, Strict(), Field(gt=0, description="a whole number of MiB above 0")]
Flag = Annotated[bool, Strict(), Field(description="yes or no")]
Voxel = Annotated[
    tuple[Int, Int, Int] | None, Field(description="a list of three whole numbers, z y x")
]
VoxelSize = Annotated[
    tuple[Positive, Positive, Positive] | None,
    Field(description="a list of three numbers above 0, z y x in nanometres"),
]
Column = Annotated[
    Annotated[str, Field(min_length=1)] | None, Field(description="the name of a column")
]


class Model(BaseModel):
    """Base of all parts of a configuration: frozen, strict, with hyphens in its keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda name: name if name.startswith("voxel_") else name.replace("_", "-"),
    )


class Channel(Model):
    """One served volume: `path` is its file or folder, `voxel_offset` its first voxel (z, y, x).

    `offset` is the documented opposite of `voxel_offset`: a voxel of the file is at the voxel
    asked for plus `offset`. A channel has at most one of the two.
    `dpath` is the folder of its metadata files, if not the dataset's. `kind` and `voxel_size`
    (nanometres, z y x) override those of the file. `encoding` is that of its precomputed chunks,
    raw by default.
    """

    name: Name
    path: Annotated[PathOrUrl, Field(description=f"{_PATH}, or a URL")]
    voxel_offset: Voxel = None
    offset: Voxel = None
    dpath: PathOrNone = None
    short_description: Annotated[str | None, Field(description="text")] = None
    kind: Annotated[Kind | None, Field(description="image or segmentation")] = None
    encoding: Annotated[
        Encoding | None, Field(description="raw, jpeg, png or compressed_segmentation")
    ] = None
    voxel_size: VoxelSize = None
    _line: str = PrivateAttr("")

    @model_validator(mode="after")
    def _one_offset(self) -> Self:
        if self.offset is not None and self.voxel_offset is not None:
            raise ValueError("either offset or voxel_offset")
        return self

    @property
    def own_name(self) -> str:
        """Its name without that of the `line`."""
        return self.name.removesuffix(f"@{self._line}")

    @property
    def line(self) -> str:
        """Name of a branch, a snapshot or a past state of its edits; "" for the channel itself."""
        return self._line

    def on_line(self, line: str) -> Self:
        """Return the channel as a branch, a snapshot or a past state of its edits has it."""
        channel = self.model_copy(update={"name": f"{self.name}@{line}"})
        channel._line = line
        return channel

    @property
    def first_voxel(self) -> tuple[int, int, int]:
        """Position of the first voxel (z, y, x) in the dataset, in voxels of mip 0."""
        if self.offset is None:
            return self.voxel_offset or (0, 0, 0)
        z, y, x = self.offset
        return -z, -y, -x


class Table(Model):
    """A file of rows, and the names of its columns where they are not the recognised ones."""

    path: Path
    id: Column = None
    z: Column = None
    y: Column = None
    x: Column = None
    position: Column = None
    units: Annotated[
        Literal["voxel", "nm"] | None, Field(description="voxel or nm, what positions count")
    ] = None
    voxel_size: VoxelSize = None
    skip_bad_rows: Flag = False

    @model_validator(mode="after")
    def _one_position(self) -> Self:
        if self.position and (self.z or self.y or self.x):
            raise ValueError("either position, or z, y and x")
        return self


class Neurons(Table):
    """A file of neurons: `id` is the neuron's id, the position is that of its soma."""


class Synapses(Table):
    """A file of synapses: `pre` and `post` are the presynaptic and postsynaptic neurons."""

    pre: Column = None
    post: Column = None


class Dataset(Model):
    """Channels of one piece of tissue; `path` is the folder of its metadata files.

    Relative paths of `synapse_connections` and `neuron_soma` are relative to that folder, or else
    to the folder of the YAML file.
    """

    name: Name
    path: Path
    channels: Annotated[Group[Channel], Field(description="a list of {name, path, …}")] = ()
    synapse_connections: PathOrNone = None
    neuron_soma: PathOrNone = None
    synapses: Annotated[Synapses | None, Field(description="a mapping with path")] = None
    neurons: Annotated[Neurons | None, Field(description="a mapping with path")] = None

    @field_validator("synapse_connections", "neuron_soma", mode="before")
    @classmethod
    def _in_its_folder(cls, path: Any, info: ValidationInfo) -> Any:
        """Return a path in the dataset's folder, unless only the other place has the file."""
        folder = info.data.get("path")
        if folder is None or not isinstance(path, str) or not path:
            return path
        inside = os.path.join(folder, os.path.expanduser(path))
        if os.path.exists(inside) or not os.path.exists(_expand(path, info)):
            return inside
        return path

    @model_validator(mode="after")
    def _one_file_each(self) -> Self:
        if self.synapses and self.synapse_connections:
            raise ValueError("either synapses or synapse-connections")
        if self.neurons and self.neuron_soma:
            raise ValueError("either neurons or neuron-soma")
        return self

    @property
    def channel_paths(self) -> tuple[str, ...]:
        """Paths of the channels, without duplicates."""
        return tuple(dict.fromkeys(channel.path for channel in self.channels))


class Sample(Model):
    """Datasets of one sample."""

    name: Name
    datasets: Annotated[Group[Dataset], Field(description="a list of {name, path, channels}")] = ()


class Experiment(Model):
    """Samples of one experiment."""

    name: Name
    samples: Annotated[Group[Sample], Field(description="a list of {name, datasets}")] = ()
