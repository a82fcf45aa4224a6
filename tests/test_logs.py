import io
import json
import logging
import re

import pytest

from bfly import logs

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
    """Give what was written to stderr since it was last asked for."""
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
