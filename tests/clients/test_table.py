"""The table of clients in the documentation is that of the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


def test_every_documented_client_is_tested_and_the_other_way_round(
    request: pytest.FixtureRequest,
) -> None:
    items = request.session.items
    tested = {
        tuple(cell) for item in items for name, cell in item.user_properties if name == "reads"
    }
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", PAGE.read_text(), re.M)
    assert tested <= set(rows)
    files = set(Path(__file__).parent.glob("test_*.py"))
    if files <= {item.path for item in items}:
        assert set(rows) <= tested
    else:
        pytest.skip("only a part of the tests of clients was collected")
