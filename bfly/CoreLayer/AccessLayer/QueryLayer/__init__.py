"""The documented place of `bfly.QueryLayer`, also with the folder above on ``sys.path``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from bfly.layers import settle

settle(__name__)
