"""Without a free thread in the system, the answer is to try again later."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bfly.concurrency.threads import starting
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.edits import Edits
from bfly.errors import Busy
from bfly.keywords import RUNTIME
from bfly.testing.databases import PATH, random_synapses
from bfly.testing.edits import operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def none_left(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no thread be started until it is called."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    return monkeypatch.undo


def test_no_thread_is_busy_and_any_other_mistake_stays_one(none_left) -> None:
    with pytest.raises(Busy, match="No thread can be started now: can't start"), starting():
        threading.Thread(target=print).start()
    with pytest.raises(Busy), ThreadPoolExecutor(1) as pool, starting():
        pool.submit(print)
    with pytest.raises(RuntimeError, match="something else"), starting():
        raise RuntimeError("something else")


def test_edits_are_refused_until_others_can_be_heard_of(tmp_path: Path, none_left) -> None:
    edits = Edits(Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log())
    for _ in range(2):
        with pytest.raises(Busy, match="No thread"):
            edits.channel("c")
    none_left()
    channel = edits.channel("c")
    other = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    ChannelEdits("c", other).append(lambda _: [operation(1)])
    heard = threading.Event()
    channel.listen(heard.set)
    assert channel.state.position == 1 or heard.wait(30)
    edits.close()


def test_an_edit_is_kept_where_no_snapshot_can_be(
    tmp_path: Path, none_left, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("bfly.edits.channel.OFTEN", 1)
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    channel = ChannelEdits("c", log)
    assert channel.append(lambda _: [operation(1)]).position == 1
    assert log.last("c") == 1
    assert "No snapshot of the edits of c was kept: No thread" in caplog.text
    none_left()
    monkeypatch.setattr("bfly.edits.channel.OFTEN", 1)
    channel.append(lambda _: [operation(2)])
    assert channel._keeper is not None
    channel._keeper.join(30)
    assert log.snapshot("c", 10)[0] == 2


def test_a_load_into_memory(none_left) -> None:
    database = Nodb("", RUNTIME())
    with pytest.raises(Busy):
        database.replace(PATH, "one", [], [random_synapses(10)])
    none_left()
    database.replace(PATH, "one", [], [random_synapses(10)])
    assert len(database.ids("synapse", PATH)) == 10
