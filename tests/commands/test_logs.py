import io
import json
import logging
import os
import re
import subprocess
import sys

import pytest

from bfly.commands import logs

log = logging.getLogger("bfly.test")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def as_before():
    names = (None, "bfly", "uvicorn", "uvicorn.error", "uvicorn.access")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = list(logging.getLogger().handlers)
    yield
    for handler in [h for h in logging.getLogger().handlers if h not in handlers]:
        logging.getLogger().removeHandler(handler)
        handler.close()
    for logger, level in before:
        logger.setLevel(level)


@pytest.fixture
def stderr(capsys):
    """Return the text on stderr since the last call."""
    return lambda: capsys.readouterr().err


def test_lines_for_people(stderr, tmp_path):
    logs.set_up("INFO", str(tmp_path / "x.log"))
    log.info("Served %s.", "em")
    log.warning("Careful.")
    log.debug("Not seen.")
    first, second = stderr().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d Served em\.", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING Careful\.", second)
    first, second = (tmp_path / "x.log").read_text().splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
    assert re.fullmatch(time + r" INFO bfly\.test: Served em\.", first)
    assert re.fullmatch(time + r" WARNING bfly\.test: Careful\.", second)


def test_the_file_is_appended_to_and_begun_anew_when_moved(stderr, tmp_path):
    path = tmp_path / "x.log"
    path.write_text("before\n")
    logs.set_up("INFO", str(path))
    log.info("One.")
    path.rename(tmp_path / "x.log.1")
    log.info("Two.")
    assert (tmp_path / "x.log.1").read_text().startswith("before\n")
    assert "One." in (tmp_path / "x.log.1").read_text()
    assert path.read_text().endswith(": Two.\n")


def test_a_second_call_does_not_double_the_lines(stderr, tmp_path):
    for _ in range(3):
        logs.set_up("INFO", str(tmp_path / "x.log"))
    log.info("Once.")
    assert stderr().count("Once.") == 1
    assert (tmp_path / "x.log").read_text().count("Once.") == 1


def test_a_second_call_can_say_otherwise(stderr, tmp_path):
    logs.set_up("DEBUG", str(tmp_path / "x.log"))
    logs.set_up("ERROR", None, as_json=True)
    log.warning("Not seen.")
    log.error("Seen.")
    assert json.loads(stderr())["message"] == "Seen."
    assert (tmp_path / "x.log").read_text() == ""


def test_handlers_of_others_stay():
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    logs.set_up("INFO", None)
    logs.set_up("INFO", None)
    assert other in logging.getLogger().handlers


def test_one_json_object_a_line(stderr, tmp_path):
    logs.set_up("INFO", str(tmp_path / "x.log"), as_json=True)
    log.info("A\nB", extra={"channel": "em", "box": (1, 2), "level": "mine", "what": Terminal})
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("Failed.")
    lines = stderr().splitlines()
    assert lines == (tmp_path / "x.log").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first.pop("time"))
    assert first.pop("what") == str(Terminal)
    assert first == {
        "level": "INFO",
        "logger": "bfly.test",
        "message": "A\nB",
        "channel": "em",
        "box": [1, 2],
    }
    assert list(second) == ["time", "level", "logger", "message", "traceback"]
    assert second["traceback"].endswith("ValueError: broken")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_cannot_be_written_is_a_warning(stderr, tmp_path, as_json):
    path = tmp_path / "no" / "x.log"
    logs.set_up("INFO", str(path), as_json)
    log.info("It goes on.")
    first, second = stderr().splitlines()
    assert f"The log file {path} cannot be written: No such file or directory." in first
    assert "WARNING" in first
    assert "It goes on." in second


def test_the_web_server_logs_with_us_and_libraries_only_warn(stderr):
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler())
    logs.set_up("INFO", None, as_json=True)
    server.info("Started", extra={"color_message": "\x1b[1mStarted"})
    logging.getLogger("library").info("Not seen.")
    logging.getLogger("library").warning("Seen.")
    first, second = map(json.loads, stderr().splitlines())
    assert (first["logger"], first["message"]) == ("uvicorn.error", "Started")
    assert "color_message" not in first
    assert second["message"] == "Seen."


def test_no_client_can_forge_a_line(stderr, tmp_path):
    logs.set_up("INFO", str(tmp_path / "x.log"))
    log.info("No channel %s.", "em\n12:00:00 ERROR Disk full\r\x1b[31m\x9b")
    for text in (stderr(), (tmp_path / "x.log").read_text()):
        first, second = text.split("\n")[:2]
        assert first.endswith("No channel em")
        assert second == r"    12:00:00 ERROR Disk full\x0d\x1b[31m\x9b."


@pytest.mark.parametrize("as_json", [False, True])
def test_passwords_in_addresses_are_not_shown(stderr, tmp_path, as_json):
    logs.set_up("INFO", str(tmp_path / "x.log"), as_json)
    url = "postgresql://me:pa55@host:5432/db"
    log.info("Opened %s.", url, extra={"url": url})
    for text in (stderr(), (tmp_path / "x.log").read_text()):
        assert "pa55" not in text
        assert "postgresql://me:***@host:5432/db" in text


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(monkeypatch, no_color, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    logs.set_up("INFO", None)
    log.error("Bad.")
    expected = "\x1b[31mERROR \x1b[0mBad.\n" if coloured else "ERROR Bad.\n"
    assert terminal.getvalue().split(" ", 1)[1] == expected


def test_a_large_file_is_moved_and_begun_anew(stderr, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST", 1000)
    path = tmp_path / "x.log"
    logs.set_up("INFO", str(path))
    for number in range(100):
        log.info("Line %d.", number)
    old = tmp_path / "x.log.1"
    assert sorted(tmp_path.iterdir()) == [path, old]
    assert max(path.stat().st_size, old.stat().st_size) < 1100
    assert path.read_text().endswith("Line 99.\n")
    both = old.read_text() + path.read_text()
    first = int(re.search(r"Line (\d+)", both)[1])
    assert re.findall(r"Line (\d+)", both) == [str(n) for n in range(first, 100)]


WRITER = """
import logging, sys
from bfly.commands import logs
logs.LARGEST, logs.MOST_A_MINUTE = 20_000, 10**6
logs.set_up("INFO", sys.argv[1])
for number in range(2000):
    logging.getLogger("bfly").info("Process %s says %d.", sys.argv[2], number)
"""


def test_several_processes_move_it_once(tmp_path):
    path = tmp_path / "x.log"
    words = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*words, str(number)], stderr=subprocess.DEVNULL) for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.log", "x.log.1"]
    for file in tmp_path.iterdir():
        assert file.stat().st_size < 25_000
        for line in file.read_text().splitlines():
            assert re.search(r"INFO bfly: Process \d says \d+\.$", line)
    # Nothing is moved that was just begun.
    assert (tmp_path / "x.log.1").stat().st_size >= 20_000


def test_a_file_that_cannot_be_moved_is_emptied(stderr, tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(logs, "LARGEST", 1000)
    monkeypatch.setattr(os, "replace", refused)
    logs.set_up("INFO", str(tmp_path / "x.log"))
    for number in range(100):
        log.info("Line %d.", number)
    assert (tmp_path / "x.log").stat().st_size < 1100
    assert (tmp_path / "x.log").read_text().endswith("Line 99.\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_long_is_cut(stderr, tmp_path, as_json):
    logs.set_up("INFO", str(tmp_path / "x.log"), as_json)
    log.info("There is no %s.", "x" * 60_000)
    try:
        raise ValueError("y" * 60_000 + "the end")
    except ValueError:
        log.exception("Failed.")
    for text in (stderr(), (tmp_path / "x.log").read_text()):
        assert "more characters" in text
        assert "the end" in text
        assert len(text) < 30_000


def test_what_is_said_again_and_again_is_left_out(stderr, monkeypatch):
    now = [60.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    logs.set_up("INFO", None)

    def say(count):
        for number in range(count):
            log.info("Line %d.", number)

    say(logs.MOST_A_MINUTE + 500)
    log.info("From elsewhere.")
    now[0] = 120.0
    say(2)
    lines = stderr().splitlines()
    assert len(lines) == logs.MOST_A_MINUTE + 3
    assert lines[-3].endswith("From elsewhere.")
    assert lines[-2].endswith("Line 0. (500 more lines from here were left out)")
    assert lines[-1].endswith("Line 1.")
