"""States of viewers: stored, bounded, named by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bfly.errors import Absent, BadRequest, DatabaseError, TooLarge
from bfly.storage.viewer_states import LARGEST, SHARE, States

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


@pytest.mark.parametrize("coding", ["utf-16", "utf-32", "utf-8-sig"])
def test_only_utf_8_is_json(tmp_path: Path, coding: str) -> None:
    with pytest.raises(BadRequest, match="not a JSON object"):
        States(str(tmp_path)).keep('{"layers": []}'.encode(coding))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1" * 5000])
def test_what_only_python_calls_json_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(BadRequest, match="not a JSON object"):
        States(str(tmp_path)).keep(f'{{"a": {word}}}'.encode())


def numbered(number: int) -> bytes:
    return b'{"a": %d}' % number


def test_their_number_is_bounded(tmp_path: Path) -> None:
    states = States(str(tmp_path), most_states=3)
    names = [states.keep(numbered(number)) for number in range(3)]
    with pytest.raises(TooLarge, match=r"There are 3 states, .*; allowed are 3\.$"):
        states.keep(numbered(3))
    assert states.keep(numbered(0)) == names[0]
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_what_was_not_used_for_long_makes_room_and_nothing_else(tmp_path: Path) -> None:
    states = States(str(tmp_path), most_states=3)
    names = [states.keep(numbered(number)) for number in range(3)]
    for age, name in ((50, names[0]), (40, names[1]), (20, names[2])):
        os.utime(tmp_path / name, (time.time() - age * 86_400,) * 2)
    # Another server finds them old, and one of them is used again.
    states = States(str(tmp_path), most_states=3)
    assert States(str(tmp_path)).get(names[0]) == numbered(0)
    states.keep(numbered(3))
    assert {*os.listdir(tmp_path)} >= {names[0], names[2]}
    assert names[1] not in os.listdir(tmp_path)
    with pytest.raises(TooLarge):
        states.keep(numbered(4))


def test_the_folder_is_not_listed_for_each_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    states = States(str(tmp_path))
    for number in range(200):
        states.keep(numbered(number))
    assert len(listed) == 1


def test_what_several_servers_add_is_bounded(tmp_path: Path) -> None:
    servers = [States(str(tmp_path), most_states=160) for _ in range(3)]
    for number in range(240):
        with suppress(TooLarge):
            servers[number % 3].keep(numbered(number))
    assert 160 <= len(os.listdir(tmp_path)) <= 160 + 3 * 160 // SHARE


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    states = States(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DatabaseError, match="No space left"):
            states.keep(STATE)
    assert os.listdir(tmp_path) == []
    states.keep(STATE)


def test_what_a_killed_server_began_is_removed(tmp_path: Path) -> None:
    for name, age in (("tmpold", 7200), ("tmpnew", 0)):
        (tmp_path / name).write_bytes(STATE)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    name = States(str(tmp_path)).keep(STATE)
    assert sorted(os.listdir(tmp_path)) == sorted(["tmpnew", name])


def test_a_state_that_was_overwritten_is_an_error(tmp_path: Path) -> None:
    states = States(str(tmp_path))
    digest = hashlib.sha256(STATE).hexdigest()
    for name in (digest[:16], digest):
        (tmp_path / name).write_bytes(b'{"forged": 1}')
    with pytest.raises(DatabaseError, match="is not the state that it was"):
        states.keep(STATE)
