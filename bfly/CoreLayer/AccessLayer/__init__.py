"""The documented place of `bfly.AccessLayer`, also with the folder above on ``sys.path``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from bfly.layers import settle

settle(__name__)
