"""Imports: ``import bfly`` is light, and a layer is one module under all its documented names."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import bfly

HOME = Path(bfly.__file__).parent

LAYERS = {
    "CoreLayer": ["Core", "Cache"],
    "AccessLayer": [
        *("API", "NDStore", "Precomputed", "Websocket", "RequestHandler", "StaticHandler"),
    ],
    "DatabaseLayer": ["Database", "Nodb", "Sqlite"],
    "ImageLayer": ["Datasource", "HDF5", "ImageStack", "Mojo", "BossGrid"],
    "QueryLayer": ["Query", "InfoQuery", "DataQuery", "TileQuery"],
    "UtilityLayer": ["RUNTIME", "INPUT", "OUTPUT", "rh_config", "Settings", "to_argv", "PORT"],
}

NAMES = [
    *LAYERS,
    *(f"CoreLayer.{name}" for name in LAYERS if name != "CoreLayer"),
    *(f"CoreLayer.AccessLayer.{name}" for name in ("QueryLayer", "ImageLayer", "UtilityLayer")),
    *(f"CoreLayer.AccessLayer.QueryLayer.{name}" for name in ("ImageLayer", "UtilityLayer")),
    *(f"CoreLayer.QueryLayer.{name}" for name in ("ImageLayer", "UtilityLayer")),
    *(f"AccessLayer.{name}" for name in ("QueryLayer", "ImageLayer", "UtilityLayer")),
    "AccessLayer.QueryLayer.UtilityLayer",
    *(f"QueryLayer.{name}" for name in ("ImageLayer", "UtilityLayer")),
]
"""All names of layers below ``bfly``."""

HEAVY = [
    "fastremap",
    "h5py",
    "imagecodecs",
    "numpy",
    "orjson",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "pyarrow",
    "rich",
    "tensorstore",
    "tifffile",
    "uvicorn",
    "yaml",
]


def run(code: str, *folders: Path) -> str:
    """Run a program that has just these folders on ``sys.path``, before the libraries."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_bfly_is_light() -> None:
    code = f"""
import sys, bfly
print(sorted(set({HEAVY}) & set(sys.modules)), [m for m in sys.modules if m.startswith("bfly.")])
"""
    assert run(code, HOME.parent) == "[] []\n"


def test_the_program_runs_when_it_is_called_and_not_when_it_is_imported() -> None:
    code = "import sys; from bfly.__main__ import bfly; print(bfly.__name__); "
    assert run(code, HOME.parent) == "bfly\n"
    code += "sys.argv = ['bfly', '--version']; bfly()"
    assert run(code, HOME.parent) == f"bfly\nbfly {bfly.__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_is_one_module_under_all_its_names(name: str) -> None:
    last = name.rpartition(".")[2]
    layer = import_module(f"bfly.{last}")
    assert import_module(f"bfly.{name}") is layer
    assert layer.__name__ == layer.__spec__.name == f"bfly.{last}"
    found = bfly
    for part in name.split("."):
        found = getattr(found, part)
    assert found is layer
    for attribute in LAYERS[last]:
        getattr(layer, attribute)


def test_only_documented_names_are_found_below_a_layer() -> None:
    for name in ("UtilityLayer.QueryLayer", "QueryLayer.CoreLayer", "DatabaseLayer.QueryLayer"):
        with pytest.raises(ModuleNotFoundError):
            import_module(f"bfly.{name}")


def test_all_names_of_bfly() -> None:
    names: dict[str, object] = {}
    exec("from bfly import *", names)
    assert {"Butterfly", "Webserver", *LAYERS} <= names.keys()
    assert names["CoreLayer"] is bfly.CoreLayer
    with pytest.raises(AttributeError, match="nothing"):
        _ = bfly.nothing


SCRIPTS = {
    "": "import CoreLayer",
    ".": """
from CoreLayer import DatabaseLayer, AccessLayer
from CoreLayer import QueryLayer, ImageLayer, UtilityLayer
from CoreLayer.AccessLayer import QueryLayer as nested
assert nested is QueryLayer
""",
    "alone": "import DatabaseLayer, QueryLayer, AccessLayer, UtilityLayer, ImageLayer",
    "CoreLayer": """
import AccessLayer, DatabaseLayer
from AccessLayer import QueryLayer, ImageLayer, UtilityLayer
""",
    "CoreLayer/AccessLayer": """
import QueryLayer
from QueryLayer import ImageLayer, UtilityLayer
""",
    "CoreLayer/AccessLayer/QueryLayer": "import UtilityLayer, ImageLayer",
}
"""What scripts in a folder of ``bfly/`` import."""

SAME = """
import bfly, sys
layers = {name: module for name, module in sys.modules.items() if name.endswith("Layer")}
assert layers
for name, module in layers.items():
    assert module is getattr(bfly, name.rpartition(".")[2]), name
print(bfly.__file__)
"""


@pytest.mark.parametrize("place", SCRIPTS)
def test_layers_import_from_their_folders_without_an_installation(place: str) -> None:
    folder = HOME / place if place.startswith("Core") else HOME
    assert run(SCRIPTS[place] + "\n" + SAME, folder) == f"{HOME / '__init__.py'}\n"


def test_a_database_is_imported_on_first_use() -> None:
    code = """
import sys
from bfly import DatabaseLayer
print("bfly.databases.postgres" in sys.modules, getattr(DatabaseLayer, "Postgres").__name__)
"""
    assert run(code, HOME.parent) == "False Postgres\n"
    with pytest.raises(AttributeError, match="Nothing"):
        _ = bfly.DatabaseLayer.Nothing
