"""A folder of ``bfly/`` is a layer: it imports only from the layers below it, types included."""

from __future__ import annotations

import ast
from pathlib import Path

import bfly

ROOT = Path(bfly.__file__).parent
FLOORS = """
errors layers bfly < geometry concurrency metrics < registry validation downsample encoders
< keywords edits < splitting storage annotations < config sources < tables volumes
< discovery segments < databases queries jobs doctor cutouts < connectome protocols < core < server
< butterfly testing < commands DatabaseLayer ImageLayer UtilityLayer < QueryLayer < AccessLayer
< cli CoreLayer < __main__ __init__
"""
FLOOR = {name: floor for floor, row in enumerate(FLOORS.split("<")) for name in row.split()}


def test_a_layer_imports_only_from_layers_below() -> None:
    for path in ROOT.rglob("*.py"):
        layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                inner = [f"bfly.{alias.name}" for alias in node.names]
                names = inner if node.module == "bfly" else [node.module or ""]
            for other in (name.split(".")[1] for name in names if name.startswith("bfly.")):
                assert other == layer or FLOOR.get(other, 99) < FLOOR[layer], (path, node.lineno)
