"""The base of all databases, as documented."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from bfly.keywords import RUNTIME

__all__ = ["Database"]


class Database(ABC):
    """Knows which dataset a channel belongs to; engines derive from it.

    Parameters
    ----------
    path : str
        The database's file; an engine without one takes no notice.
    _runtime : RUNTIME
        The limits and words in use, for the database and for the `Core` built on it.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        self.path = path
        self.RUNTIME = _runtime

    @abstractmethod
    def add_path(self, c_path: str, d_path: str) -> None:
        """Store a link from a channel's path to its dataset's path.

        Parameters
        ----------
        c_path : str
            The path to a channel with images.
        d_path : str
            The path to the dataset with metadata files.
        """

    @abstractmethod
    def get_path(self, path: str) -> str:
        """Map a channel's path to its dataset's path.

        Parameters
        ----------
        path : str
            The path to the given channel.

        Returns
        -------
        str
            The dataset's path; empty for a channel that was never added.
        """

    @abstractmethod
    def commit(self) -> None:
        """Save all changes to the database's file."""

    def load_config(self, config: Mapping[str, Any]) -> Self:
        """Load everything that a configuration names.

        Parameters
        ----------
        config : dict
            All data of `UtilityLayer.rh_config.config`, or what stands there under ``bfly``.

        Returns
        -------
        Database
            This instance.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        level = [config.get(words.NAME, config)]
        for group in words.GROUP_LIST[:-1]:
            level = [item for parent in level for item in parent.get(group) or []]
        for dataset in level:
            self.load_all(dataset)
        self.commit()
        return self

    def load_all(self, source: Mapping[str, Any]) -> None:
        """Load what the configuration says of one dataset.

        Parameters
        ----------
        source : dict
            The dataset: its ``path`` and its ``channels``, each with a ``path`` and perhaps
            a ``dpath`` that stands for the dataset's path.
        """
        words = self.RUNTIME.DB.FILE.CONFIG
        for channel in source.get(words.GROUP_LIST[-1]) or []:
            d_path = channel.get(words.DPATH.NAME) or source.get(words.PATH.NAME, "")
            self.add_path(channel[words.PATH.NAME], d_path)
