"""The configuration: what lies under ``bfly:`` in the YAML file, checked and frozen.

The description of a field is what is allowed in it, in the words that a mistake is answered
with. `Config.load` finds all the mistakes of a file at once, one a line.
"""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from bfly import registry, rh_config
from bfly.errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

__all__ = ["Channel", "Config", "Dataset", "Experiment", "Sample", "check_name", "pick"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)

_PORT = "a whole number from 0 to 65535"
_PATH = "a path, relative ones as seen from this file's folder"
_NAME = "text without '/' and '::', not blank, '.' or '..', and without ':' at either end"


def check_name(name: str) -> str:
    """Give a name back that can be part of an address.

    Raises
    ------
    ValueError
        It cannot, because names are joined there by ``/`` and ``::``; says what is allowed.
    """
    encodable = name.encode(errors="replace").decode()
    fit = name.strip() and name not in (".", "..") and name == name.strip(":") == encodable
    if not fit or "/" in name or "::" in name:
        raise ValueError(_NAME)
    return name


def _expand(path: str, info: ValidationInfo) -> str:
    """Make a path absolute, as seen from the folder of the YAML file."""
    if "\0" in path:
        raise ValueError("a path without NUL")
    folder = (info.context or {}).get("folder", "")
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _database(name: str) -> str:
    allowed = list(registry.names("databases"))
    if name not in allowed:
        raise ValueError(f"one of {', '.join(allowed)}")
    return name


def _unique(items: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check siblings and that their names differ, so that all mistakes come out together."""
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

Name = Annotated[str, AfterValidator(check_name), Field(description=_NAME)]
Path = Annotated[AbsolutePath, Field(description=_PATH)]
PathOrNone = Annotated[AbsolutePath | None, Field(description=_PATH)]
Port = Annotated[int, Strict(), Field(ge=0, le=65535, description=_PORT)]
PortOrNone = Annotated[Port | None, Field(description=_PORT)]
Size = Annotated[int, Strict(), Field(gt=0, description="a whole number of MiB above 0")]
Flag = Annotated[bool, Strict(), Field(description="yes or no")]
Group = Annotated[tuple[T, ...], WrapValidator(_unique)]
Kind = Literal["image", "segmentation"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda name: name if name == "voxel_size" else name.replace("_", "-"),
    )


class Channel(_Model):
    """One served volume: `path` is its file or folder, `offset` its first voxel (z, y, x).

    `dpath` is the folder with its metadata files where that is not the dataset's; `kind` and
    `voxel_size` (nanometres, z y x) override what the source says of itself.
    """

    name: Name
    path: Path
    offset: Annotated[
        tuple[Int, Int, Int], Field(description="a list of three whole numbers, z y x")
    ] = (0, 0, 0)
    dpath: PathOrNone = None
    short_description: Annotated[str | None, Field(description="text")] = None
    kind: Annotated[Kind | None, Field(description="image or segmentation")] = None
    voxel_size: Annotated[
        tuple[Positive, Positive, Positive] | None,
        Field(description="a list of three numbers above 0, z y x in nanometres"),
    ] = None


class Dataset(_Model):
    """Channels of one piece of tissue; `path` is the folder with its metadata files."""

    name: Name
    path: Path
    channels: Annotated[Group[Channel], Field(description="a list of {name, path, …}")] = ()
    synapse_connections: PathOrNone = None
    neuron_soma: PathOrNone = None


class Sample(_Model):
    """Datasets of one sample."""

    name: Name
    datasets: Annotated[Group[Dataset], Field(description="a list of {name, path, channels}")] = ()


class Experiment(_Model):
    """Samples of one experiment."""

    name: Name
    samples: Annotated[Group[Sample], Field(description="a list of {name, datasets}")] = ()


class Config(_Model):
    """All settings of a server. Sizes are MiB, paths absolute except `log_path`.

    To change some, use `replace`: pydantic's ``model_copy`` checks nothing.
    """

    port: Port = 2001
    host: Annotated[str, Field(min_length=1, description="the address to listen on")] = "127.0.0.1"
    max_cache_size: Size = 1024
    max_block_size: Size = 1
    max_cutout_size: Size = 512
    allowed_paths: Annotated[tuple[AbsolutePath, ...], Field(description="a list of folders")] = (
        "/",
    )
    developer_mode: Flag = False
    db_type: Annotated[
        Annotated[str, AfterValidator(_database)] | None,
        Field(description="the name of a database"),
    ] = None
    db_path: PathOrNone = None
    db_port: PortOrNone = None
    db_update: Flag = False
    edit_path: PathOrNone = None
    log_path: Annotated[
        str,
        Field(min_length=1, description="a path, as seen from the working folder"),
        AfterValidator(os.path.expanduser),
    ] = "bfly.log"
    log_level: Annotated[Level, Field(description=f"one of {', '.join(get_args(Level))}")] = "INFO"
    experiments: Annotated[Group[Experiment], Field(description="a list of {name, samples}")] = ()

    @classmethod
    def load(cls, path: str) -> Self:
        """Read and check a YAML file.

        Raises
        ------
        ConfigError
            It cannot be read or has mistakes: one line for each of them.
        """
        data, mistakes = rh_config.read(path)
        return cls._checked(data, path, mistakes)

    @classmethod
    def parse(cls, data: Mapping[str, Any], file: str) -> Self:
        """Check what a file holds.

        Parameters
        ----------
        data : mapping
            The root of the file, with the key ``bfly``.
        file : str
            Its path: named in mistakes, and relative paths are seen from its folder.

        Raises
        ------
        ConfigError
            One line for each mistake.
        """
        return cls._checked(data, file, [])

    @classmethod
    def _checked(cls, data: Mapping[str, Any], file: str, mistakes: list[str]) -> Self:
        context = {"folder": os.path.dirname(os.path.abspath(file))}
        if "bfly" not in data:
            found = ", ".join(map(str, data)) or "nothing"
            mistakes = [*mistakes, f"{file}: bfly is missing at the root; there is {found}."]
        elif not isinstance(data["bfly"], dict):
            value = _short(data["bfly"])
            mistakes = [*mistakes, f"{file}: bfly is {value}; allowed is a mapping of keys."]
        else:
            try:
                config = cls.model_validate(data["bfly"], context=context, by_name=False)
            except ValidationError as error:
                mistakes = [*mistakes, *(f"{file}: {_mistake(e)}" for e in error.errors())]
            else:
                if not mistakes:
                    return config
        raise ConfigError("\n".join(mistakes))

    def replace(self, **changes: Any) -> Self:
        """Give a copy with other settings (Python names), checked like those of a file.

        Raises
        ------
        ConfigError
            One line for each mistake.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields} | changes
        data = {name.replace("_", "-"): value for name, value in values.items()}
        try:
            return type(self).model_validate(data, by_name=False)
        except ValidationError as error:
            raise ConfigError("\n".join(map(_mistake, error.errors()))) from None

    def dump(self) -> dict[str, Any]:
        """Give what `parse` reads back to an equal configuration, the defaults left out."""
        return {"bfly": self.model_dump(mode="json", by_alias=True, exclude_defaults=True)}

    def save(self, path: str) -> None:
        """Write a YAML file that `load` reads back to an equal configuration.

        Raises
        ------
        ConfigError
            It cannot be written; a file that was there is as before.
        """
        rh_config.write(path, self.dump())

    @cached_property
    def channels(self) -> Mapping[tuple[str, str, str, str], Channel]:
        """All channels by the names of their experiment, sample, dataset and themselves."""
        return {
            (experiment.name, sample.name, dataset.name, channel.name): channel
            for experiment in self.experiments
            for sample in experiment.samples
            for dataset in sample.datasets
            for channel in dataset.channels
        }

    def experiment(self, experiment: str) -> Experiment:
        """Give an experiment; errors as `find`."""
        return pick(self.experiments, "experiment", experiment)

    def sample(self, experiment: str, sample: str) -> Sample:
        """Give a sample by the two names that lead to it; errors as `find`."""
        return pick(self.experiment(experiment).samples, "sample", sample)

    def dataset(self, experiment: str, sample: str, dataset: str) -> Dataset:
        """Give a dataset by the three names that lead to it; errors as `find`."""
        return pick(self.sample(experiment, sample).datasets, "dataset", dataset)

    def find(self, experiment: str, sample: str, dataset: str, channel: str) -> Channel:
        """Give a channel by the four names that lead to it.

        Raises
        ------
        BadRequest
            One of them leads nowhere; the message lists the names that are there.
        """
        found = self.channels.get((experiment, sample, dataset, channel))
        return found or pick(self.dataset(experiment, sample, dataset).channels, "channel", channel)


def pick(items: Sequence[T], kind: str, name: str) -> T:
    """Give the item that has a name.

    Raises
    ------
    BadRequest
        None has; the message says of what kind it should be and lists the names.
    """
    for item in items:
        if item.name == name:
            return item
    raise BadRequest(f"The {kind} {name} is not in {[item.name for item in items]}.")


_BELOW: dict[str, type[_Model]] = {
    "experiments": Experiment,
    "samples": Sample,
    "datasets": Dataset,
    "channels": Channel,
}


def _mistake(error: ErrorDetails) -> str:
    """Say in one line which key has which value and what is allowed."""
    loc, value, wrong = error["loc"], _short(error["input"]), error["type"]
    if wrong == "invalid_key":
        loc, wrong = (*loc[:-1], str(loc[-1])), "extra_forbidden"
    key = "bfly" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    *groups, name = [part for part in loc if isinstance(part, str)]
    fields = (_BELOW[groups[-1]] if groups else Config).model_fields
    allowed = {field.alias or "": field.description for field in fields.values()}
    if wrong == "extra_forbidden":
        near = difflib.get_close_matches(name, allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"{key} is {value}, but there is no such key{hint} Allowed are {', '.join(allowed)}."
    if wrong == "missing":
        return f"{key} is missing; needed is {allowed[name]}."
    if wrong == "repeated":
        first = f"[{error['ctx']['first']}]"
        return f"{key} is {value}, which is the name of {first} too; allowed are names that differ."
    if wrong == "value_error":
        return f"{key} is {value}; allowed is {error['ctx']['error']}."
    return f"{key} is {value}; allowed is {allowed[name]}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
