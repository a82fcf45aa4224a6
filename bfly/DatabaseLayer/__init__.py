"""The documented DatabaseLayer: the base class and the engines."""

from bfly.databases.database import Database
from bfly.databases.nodb import Nodb

__all__ = ["Database", "Nodb"]
