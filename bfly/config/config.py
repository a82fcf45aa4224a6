"""The configuration: the content of ``bfly:`` in the YAML file, checked and frozen.

`Config.load` reports all mistakes of a file at once, one per line.
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
from bfly.config.addresses import Addresses, lines_in
from bfly.config.error_messages import mistake, shortened
from bfly.config.graphene_tables import GrapheneTables
from bfly.config.hosts import Hosts, Origins
from bfly.config.lenient import checked
from bfly.config.stores import DiskCacheSettings, KeptPyramid
from bfly.config.tree import (
    AbsolutePath,
    Channel,
    Dataset,
    Experiment,
    Flag,
    Group,
    Model,
    PathOrNone,
    PathOrUrl,
    Sample,
    Size,
    T,
)
from bfly.errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Config", "pick"]

_PORT = "a whole number from 0 to 65535"
_FORMER = {
    "Mongodb": (
        ". Mongodb was a database of the first Butterfly: write Sqlite (a file), or Postgres (a "
        "server) with its address as db-path. Nothing has to be copied: the JSON files of the "
        "datasets are loaded again at the start"
    )
}
"""Databases of the first Butterfly, and what to write instead."""


def _database(name: str) -> str:
    allowed = list(registry.names("databases"))
    if name not in allowed:
        raise ValueError(f"one of {', '.join(allowed)}{_FORMER.get(name, '')}")
    return name


def _address(value: Any, expanded: ValidatorFunctionWrapHandler) -> Any:
    """Return URLs and pairs like ``host=db`` unchanged, and paths as absolute paths."""
    is_address = isinstance(value, str) and re.match(r"\w+(://| *=)", value)
    return value if is_address else expanded(value)


Port = Annotated[int, Strict(), Field(ge=0, le=65535, description=_PORT)]
Address = Annotated[
    AbsolutePath | None,
    WrapValidator(_address),
    Field(description="a path, relative ones as seen from this file's folder, or an address"),
]
PortOrNone = Annotated[Port | None, Field(description=_PORT)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class Config(Model):
    """All settings of a server. Sizes are in MiB; paths are absolute except `log_path`.

    To change settings, use `replace`: pydantic's ``model_copy`` checks nothing.
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
    allowed_hosts: Hosts = ()
    allowed_origins: Origins = ()
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
    def load(cls, path: str, notes: list[str] | None = None) -> Self:
        """Read and check a YAML file.

        Parameters
        ----------
        path : str
            The file.
        notes : list of str, optional
            If given, mistakes that can be mended (see `bfly.config.lenient`) are mended, and a
            line is added to the list for each.

        Raises
        ------
        ConfigError
            The file cannot be read or has mistakes: one line for each of them.
        """
        data, mistakes = rh_config.read(path)
        return cls._checked(data, path, mistakes, notes)

    @classmethod
    def parse(cls, data: Mapping[str, Any], file: str, notes: list[str] | None = None) -> Self:
        """Check the content of a file.

        Parameters
        ----------
        data : mapping
            The root of the file, with the key ``bfly``.
        file : str
            Its path. Mistakes name it, and relative paths are relative to its folder.
        notes : list of str, optional
            As for `load`.

        Raises
        ------
        ConfigError
            One line for each mistake.
        """
        return cls._checked(data, file, [], notes)

    @classmethod
    def _checked(
        cls, data: Mapping[str, Any], file: str, mistakes: list[str], notes: list[str] | None
    ) -> Self:
        folder = os.path.dirname(os.path.abspath(file))
        mended: list[str] = []
        if "bfly" not in data:
            keys = ", ".join(map(str, data)) or "nothing"
            mistakes = [*mistakes, f"{file}: bfly is missing at the root; there is {keys}."]
        elif data["bfly"] is None and notes is not None and not mistakes:
            notes.append(f"{file}: bfly is empty; there is no channel to serve.")
            return cls()
        elif not isinstance(data["bfly"], dict):
            value = shortened(data["bfly"])
            mistakes = [*mistakes, f"{file}: bfly is {value}; allowed is a mapping of keys."]
        else:
            try:
                config = checked(cls, data["bfly"], folder, None if notes is None else mended)
            except ValidationError as error:
                mistakes = [*mistakes, *(f"{file}: {mistake(e, cls)}" for e in error.errors())]
            else:
                if notes is not None:
                    notes += [f"{file}: {note}" for note in mended]
                if not mistakes:
                    return config
        raise ConfigError("\n".join([*mistakes, *(f"{file}: {note}" for note in mended)]))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other settings (Python names), checked like those of a file.

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
        """Return a dictionary, without defaults, that `parse` reads to an equal configuration."""
        return {"bfly": self.model_dump(mode="json", by_alias=True, exclude_defaults=True)}

    def save(self, path: str) -> None:
        """Write a YAML file that `load` reads to an equal configuration.

        Raises
        ------
        ConfigError
            The file cannot be written; an existing file is unchanged.
        """
        rh_config.write(path, self.dump())

    @property
    def states_folder(self) -> str:
        """Folder of the viewers' states, next to the database's file or in the working folder."""
        beside = self.db_path if self.db_type in (None, "Sqlite") else None
        return os.path.join(os.path.dirname(beside or ""), "bfly-states")

    @cached_property
    def channels(self) -> Mapping[tuple[str, str, str, str], Channel]:
        """All channels, by the names of experiment, sample, dataset and channel."""
        return {
            (experiment.name, sample.name, dataset.name, channel.name): channel
            for experiment in self.experiments
            for sample in experiment.samples
            for dataset in sample.datasets
            for channel in dataset.channels
        }

    @cached_property
    def graphene_tables(self) -> GrapheneTables:
        """Names of the channels for graphene clients."""
        return GrapheneTables(self.channels)

    @cached_property
    def addresses(self) -> Addresses:
        """The addresses of all channels."""
        return Addresses(self.experiments)

    @property
    def offset_note(self) -> str:
        """Line about the key ``offset``, which once had the opposite sign; "" without it."""
        if all(channel.offset is None for channel in self.channels.values()):
            return ""
        return (
            "offset is read as documented: voxel of the file = voxel asked for + offset. "
            "The position of the first voxel is voxel_offset."
        )

    def experiment(self, experiment: str) -> Experiment:
        """Return an experiment; errors as `find`."""
        return pick(self.experiments, "experiment", experiment)

    def sample(self, experiment: str, sample: str) -> Sample:
        """Return a sample by the names of experiment and sample; errors as `find`."""
        return pick(self.experiment(experiment).samples, "sample", sample)

    def dataset(self, experiment: str, sample: str, dataset: str) -> Dataset:
        """Return a dataset by the names of experiment, sample and dataset; errors as `find`."""
        return pick(self.sample(experiment, sample).datasets, "dataset", dataset)

    def find(self, experiment: str, sample: str, dataset: str, channel: str) -> Channel:
        """Return a channel by the names of experiment, sample, dataset and channel.

        The last one may be ``CHANNEL@LINE``: see `Channel.on_line`.

        Raises
        ------
        BadRequest
            A name does not exist; the message lists the names that do.
        """
        item = self.channels.get((experiment, sample, dataset, channel))
        if item is None:
            for name, line in lines_in(channel):
                if named := self.channels.get((experiment, sample, dataset, name)):
                    return named.on_line(line)
        return item or pick(self.dataset(experiment, sample, dataset).channels, "channel", channel)


def pick(items: Sequence[T], kind: str, name: str) -> T:
    """Return the item with a name.

    Raises
    ------
    BadRequest
        No item has this name; the message has the kind and lists the names.
    """
    for item in items:
        if item.name == name:
            return item
    wrong = f"{kind} {name} is not in" if name else f"{kind} is missing; it is one of"
    raise BadRequest(f"The {wrong} {[item.name for item in items]}.")
