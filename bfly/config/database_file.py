"""Where the database's file is unless ``db-path`` names it."""

from __future__ import annotations

import os

from platformdirs import user_data_dir

__all__ = ["database_file"]

NAME = "bfly.db"


def database_file(config: str | None) -> tuple[str, str]:
    """Return the path of the default database, and why it is there.

    A file that is already in the working folder is used. Otherwise it is beside the YAML file, or
    in the user's data folder if a folder is served or that place cannot be written to.

    Parameters
    ----------
    config : str, optional
        The YAML file; None if a folder is served.
    """
    if os.path.isfile(NAME):
        return os.path.abspath(NAME), "it was in the working folder"
    folder = os.path.dirname(os.path.abspath(config)) if config else ""
    if folder and os.access(folder, os.W_OK):
        return os.path.join(folder, NAME), "beside the configuration"
    return os.path.join(user_data_dir("bfly"), NAME), "in the user's data folder"
