"""States of viewers: kept, bounded, named by what they hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bfly.errors import Absent, BadRequest, DatabaseError, TooLarge
from bfly.states import LARGEST, States

if TYPE_CHECKING:
    from pathlib import Path

STATE = b'{"layers": []}'


def test_a_state_outlives_the_program(tmp_path: Path) -> None:
    name = States(str(tmp_path / "states")).keep(STATE)
    assert len(name) == 16
    assert States(str(tmp_path / "states")).get(name) == STATE


def test_the_same_state_is_kept_once_and_others_beside_it(tmp_path: Path) -> None:
    states = States(str(tmp_path))
    names = {states.keep(state) for state in (STATE, STATE, b'{"a": 1}')}
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert len(names) == 2


def test_a_name_that_is_taken_by_another_state_is_not_given(tmp_path: Path) -> None:
    states = States(str(tmp_path))
    name = states.keep(STATE)
    (tmp_path / name).write_bytes(b'{"forged": 1}')
    other = states.keep(STATE)
    assert other.startswith(name)
    assert len(other) == 64
    assert states.get(other) == STATE


@pytest.mark.parametrize("state", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(tmp_path: Path, state: bytes) -> None:
    with pytest.raises(BadRequest, match="not a JSON object"):
        States(str(tmp_path)).keep(state)
    assert os.listdir(tmp_path) == []


def test_states_are_bounded_one_by_one_and_together(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=f"allowed are {LARGEST}"):
        States(str(tmp_path)).keep(b'{"a": "' + b"a" * LARGEST + b'"}')
    states = States(str(tmp_path), most=2 * len(STATE))
    name = states.keep(STATE)
    states.keep(b'{"a": 1}')
    with pytest.raises(TooLarge, match=r"allowed are 28\.$"):
        states.keep(b'{"b": 2}')
    assert states.keep(STATE) == name


@pytest.mark.parametrize("name", ["", "0" * 16, "../states.py", "/etc/passwd", "ABCDEF0123456789"])
def test_a_name_that_was_not_given_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(Absent, match="There is no state"):
        States(str(tmp_path)).get(name)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="file cannot be used"):
        States(str(tmp_path / "file")).keep(STATE)
