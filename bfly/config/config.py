"""The configuration: what lies under ``bfly:`` in the YAML file, checked and frozen.

`Config.load` finds all the mistakes of a file at once, one a line.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    Field,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from bfly import registry
from bfly.config import rh_config
from bfly.config.error_messages import mistake, shortened
from bfly.config.tree import (
    AbsolutePath,
    Channel,
    Dataset,
    Experiment,
    Group,
    KeptPyramid,
    Model,
    PathOrNone,
    PathOrUrl,
    Sample,
    T,
)
from bfly.errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Config", "pick"]

_PORT = "a whole number from 0 to 65535"
_HOSTS = "a list of names like bfly.lab.org, .lab.org for all names below it, or *"
_ORIGINS = "a list of origins like https://lab.org:8080, or *"
_IMPLIED = {"http": ":80", "https": ":443"}


def _database(name: str) -> str:
    allowed = list(registry.names("databases"))
    if name not in allowed:
        raise ValueError(f"one of {', '.join(allowed)}")
    return name


def _address(value: Any, expanded: ValidatorFunctionWrapHandler) -> Any:
    """Leave a URL and pairs like ``host=db`` as they are; make a path absolute."""
    is_address = isinstance(value, str) and re.match(r"\w+(://| *=)", value)
    return value if is_address else expanded(value)


def _host_name(name: str) -> str:
    """Write a name as browsers send it: in lower case, umlauts in Punycode, no dot at the end."""
    try:
        labels = [
            label if label.isascii() else label.encode("idna").decode("ascii")
            for label in name.lower().removesuffix(".").split(".")
        ]
    except UnicodeError:
        raise ValueError(_HOSTS) from None
    plain = ".".join(labels)
    if not re.fullmatch(r"\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*", plain):
        raise ValueError(_HOSTS)
    return plain


def _origin(origin: str) -> str:
    """Write an origin as browsers send it: in lower case, without the port that it implies."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix(_IMPLIED[scheme])}" if host else origin


Port = Annotated[int, Strict(), Field(ge=0, le=65535, description=_PORT)]
Address = Annotated[
    AbsolutePath | None,
    WrapValidator(_address),
    Field(description="a path, relative ones as seen from this file's folder, or an address"),
]
PortOrNone = Annotated[Port | None, Field(description=_PORT)]
Size = Annotated[int, Strict(), Field(gt=0, description="a whole number of MiB above 0")]
Flag = Annotated[bool, Strict(), Field(description="yes or no")]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class DiskCacheSettings(Model):
    """Where chunks of URLs are kept, and how much of them, in MiB."""

    folder: AbsolutePath
    size: Size = 10_240


class Config(Model):
    """All settings of a server. Sizes are MiB, paths absolute except `log_path`.

    To change some, use `replace`: pydantic's ``model_copy`` checks nothing.
    """

    port: Port = 2001
    host: Annotated[str, Field(min_length=1, description="the address to listen on")] = "127.0.0.1"
    max_cache_size: Size = 1024
    max_block_size: Size = 1
    max_cutout_size: Size = 512
    max_chunk_size: Size = 1024
    pyramid: Annotated[KeptPyramid, Field(description="a mapping with folder and size")] = (
        KeptPyramid()
    )
    allowed_paths: Annotated[
        tuple[PathOrUrl, ...], Field(description="a list of folders and URLs")
    ] = ("/",)
    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host_name)], ...], Field(description=_HOSTS)
    ] = ()
    allowed_origins: Annotated[
        tuple[
            Annotated[
                str,
                Field(pattern=r"^(\*|(?i:https?)://[a-zA-Z0-9._\[\]:-]+)$"),
                AfterValidator(_origin),
            ],
            ...,
        ],
        Field(description=_ORIGINS),
    ] = ()
    disk_cache: Annotated[
        DiskCacheSettings | None, Field(description="a mapping with folder and size")
    ] = None
    developer_mode: Flag = False
    db_type: Annotated[
        Annotated[str, AfterValidator(_database)] | None,
        Field(description="the name of a database"),
    ] = None
    db_path: Address = None
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
            value = shortened(data["bfly"])
            mistakes = [*mistakes, f"{file}: bfly is {value}; allowed is a mapping of keys."]
        else:
            try:
                config = cls.model_validate(data["bfly"], context=context, by_name=False)
            except ValidationError as error:
                mistakes = [*mistakes, *(f"{file}: {mistake(e, cls)}" for e in error.errors())]
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
            raise ConfigError("\n".join(mistake(e, type(self)) for e in error.errors())) from None

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
    wrong = f"{kind} {name} is not in" if name else f"{kind} is missing; it is one of"
    raise BadRequest(f"The {wrong} {[item.name for item in items]}.")
