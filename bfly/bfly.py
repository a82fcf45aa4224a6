"""``import bfly`` where this folder itself is on ``sys.path``: the package around this file."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if __name__ == "bfly":
    spec = spec_from_file_location("bfly", Path(__file__).with_name("__init__.py"))
    assert spec
    assert spec.loader
    package = sys.modules["bfly"] = module_from_spec(spec)
    spec.loader.exec_module(package)
