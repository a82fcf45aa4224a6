import os
import time

import pytest

from bfly.errors import NotAllowed
from bfly.sources.shared import link_guard as guard
from bfly.sources.shared.link_guard import LinkGuard
from bfly.storage.files import Files


@pytest.fixture
def place(tmp_path):
    """A folder of chunks that did not change of late, and a file outside."""
    (tmp_path / "allowed" / "v" / "c" / "0").mkdir(parents=True)
    for name in ("0", "1"):
        (tmp_path / "allowed" / "v" / "c" / "0" / name).write_bytes(b"voxels")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "0").write_bytes(b"secret")
    return tmp_path


def settle():
    time.sleep((guard.TICK + 50_000_000) / 1e9)


@pytest.fixture
def seen(place):
    settle()
    made = LinkGuard(Files([str(place / "allowed")]))
    paths = [f"{place}/allowed/v/c/0/{name}" for name in ("0", "1")]
    return made, made.before(paths)


def test_what_did_not_change_holds(place, seen):
    made, folders = seen
    top = f"{place}/allowed"
    assert {*folders} == {top, f"{top}/v", f"{top}/v/c", f"{top}/v/c/0"}
    assert made.holds(folders)
    (place / "allowed" / "v" / "c" / "0" / "0").write_bytes(b"others")
    (place / "new").mkdir()
    assert made.holds(folders)


def swap_chunk(place):
    chunk = place / "allowed" / "v" / "c" / "0" / "0"
    chunk.rename(place / "aside")
    chunk.symlink_to(place / "secret" / "0")
    chunk.unlink()
    (place / "aside").rename(chunk)


def swap_folder(place, name):
    folder = place / "allowed" / name
    folder.rename(place / "aside")
    folder.symlink_to(place / "secret")
    folder.unlink()
    (place / "aside").rename(folder)


@pytest.mark.parametrize(
    "swap",
    [swap_chunk, *(lambda p, n=name: swap_folder(p, n) for name in ("v", "v/c", "v/c/0"))],
)
def test_a_link_that_came_and_went_is_noticed(place, seen, swap):
    made, folders = seen
    swap(place)
    assert not made.holds(folders)


def test_nothing_is_said_of_a_folder_that_changed_just_now(place):
    made = LinkGuard(Files([str(place / "allowed")]))
    path = f"{place}/allowed/v/c/0/0"
    os.utime(f"{place}/allowed/v/c")
    assert made.before([path]) is None
    settle()
    assert made.before([path]) is not None


def test_links_within_what_is_allowed_are_followed(place):
    top = place / "allowed"
    (top / "link").symlink_to("v/c")
    (top / "v" / "c" / "0" / "2").symlink_to(top / "other")
    (top / "other").write_bytes(b"voxels")
    settle()
    made = LinkGuard(Files([str(top)]))
    folders = made.before([f"{top}/link/0/2"])
    assert {*folders} >= {str(top), f"{top}/v", f"{top}/v/c", f"{top}/v/c/0"}
    (top / "other").unlink()
    assert not made.holds(folders)


@pytest.mark.parametrize("what", ["chunk", "folder"])
def test_links_out_of_what_is_allowed_are_refused(place, what):
    top = place / "allowed"
    (top / "link").symlink_to(place / "secret")
    (top / "v" / "c" / "0" / "2").symlink_to(place / "secret" / "0")
    settle()
    made = LinkGuard(Files([str(top)]))
    with pytest.raises(NotAllowed):
        made.before([f"{top}/v/c/0/2" if what == "chunk" else f"{top}/link/0"])


def test_a_folder_that_is_not_there_may_not_become_a_link(place):
    top = place / "allowed"
    settle()
    made = LinkGuard(Files([str(top)]))
    folders = made.before([f"{top}/v/d/0"])
    assert made.holds(folders)
    (top / "v" / "d").symlink_to(place / "secret")
    assert not made.holds(folders)
