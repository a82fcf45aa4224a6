"""The contract of a store of annotations as a test suite.

Derive a class named ``Test…`` from `DurableAnnotationSuite`, or from `AnnotationSuite` if the store
is in memory. Its fixture ``open_store`` opens a store in the same place each time it is called.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bfly.annotations import store as stores
from bfly.annotations.rows import Filter
from bfly.annotations.store import Request
from bfly.errors import Absent, BadRequest, Conflict

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.annotations.annotation import Annotation
    from bfly.annotations.store import AnnotationStore

    OpenStore = Callable[[], AnnotationStore]

__all__ = ["AnnotationSuite", "DurableAnnotationSuite"]

DATASET, OTHER = "/data/d", "/data/\udcff é/other"
ADA, BO = Request("Ada"), Request("Bo")


def point(x: float = 1.5, **words: Any) -> dict[str, Any]:
    """Return what a client says of a point."""
    return {"type": "point", "points": [(3.0, 2.0, x)], **words}


def ids(found: list[Annotation]) -> list[int]:
    """Return the ids of annotations."""
    return [each.id for each in found]


class AnnotationSuite:
    """Tests that the store of every engine has to pass."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return a function that opens the store. Must be overridden."""
        raise NotImplementedError

    def test_what_is_created_is_found_until_it_is_deleted(self, open_store: OpenStore) -> None:
        """Every field comes back, as of each change."""
        store = open_store()
        assert store.find(DATASET, Filter(), 9) == []
        assert (store.last(DATASET), store.count(DATASET, Filter())) == (0, 0)
        note = "a ☕, 'x'\n$1 {} %"
        box = {"type": "box", "points": [(9.0, 2.0, 5.0), (1.0, 8.0, 5.5)], "tags": ["ä b", "c"]}
        made = store.create(DATASET, [point(text=note, done=True), box], ADA)
        assert store.find(DATASET, Filter(), 9) == made
        first, second = made
        assert (first.id, first.revision, first.user, first.creator) == (1, 1, "Ada", "Ada")
        assert (first.text, first.done, first.tags, first.points) == (
            *(note, True, ()),
            ((3.0, 2.0, 1.5),),
        )
        assert (second.tags, second.done) == (("ä b", "c"), False)
        assert second.points == ((1.0, 2.0, 5.0), (9.0, 8.0, 5.5))
        [edited] = store.edit(DATASET, {1: {"done": False, "points": [(0.0, 0.0, 1.0)]}}, BO)
        assert (edited.id, edited.revision, edited.user, edited.creator) == (1, 3, "Bo", "Ada")
        assert (edited.text, edited.done, edited.created) == (note, False, first.created)
        [gone] = store.delete(DATASET, [1], ADA)
        assert store.find(DATASET, Filter(), 9) == [second]
        assert store.history(DATASET, 1, 0, 9) == [first, edited, gone]
        assert store.history(DATASET, 1, 1, 1) == [edited]
        assert [each.action for each in (first, edited, gone)] == ["create", "edit", "delete"]
        assert (store.last(DATASET), store.count(DATASET, Filter())) == (4, 1)

    def test_datasets_are_apart(self, open_store: OpenStore) -> None:
        """Numbers and annotations of a dataset are its own."""
        store = open_store()
        store.create(DATASET, [point(1.0)] * 3, ADA)
        assert ids(store.create(OTHER, [point(2.0, tags=["t"])], BO)) == [1]
        assert [each.points[0][2] for each in store.find(OTHER, Filter(), 9)] == [2.0]
        assert store.words(DATASET, "tag", 9) == []
        store.delete(OTHER, [1], ADA)
        assert store.count(DATASET, Filter()) == 3

    def test_filters(self, open_store: OpenStore) -> None:
        """Each filter alone; the end of a box is outside."""
        store = open_store()
        line = {"type": "line", "points": [(9.0, 9.0, 9.0), (1.0, 1.0, 1.0)]}
        store.create(DATASET, [point(1.0, text="Ärger", tags=["a", "100%"]), line], ADA)
        [late] = store.create(DATASET, [point(9.0, text="_x", tags=["ab"], done=True)], BO)
        for wanted, found in (
            ({}, [1, 2, 3]),
            ({"type": "line"}, [2]),
            ({"tag": "a"}, [1]),
            ({"tag": "100%"}, [1]),
            ({"tag": "%"}, []),
            ({"text": "äRG"}, [1]),
            ({"text": "_"}, [3]),
            ({"user": "Ada"}, [1, 2]),
            ({"user": ""}, []),
            ({"since": late.time}, ids(store.find(DATASET, Filter(since=late.time), 9))),
            ({"since": late.time + 60}, []),
            ({"done": True}, [3]),
            ({"done": False}, [1, 2]),
            ({"after": 1}, [2, 3]),
            ({"box": ((3.0, 2.0, 1.0), (4.0, 3.0, 2.0))}, [1, 2]),
            ({"box": ((3.0, 2.0, 0.0), (4.0, 3.0, 1.0))}, []),
            ({"box": ((0.0, 0.0, 8.0), (10.0, 10.0, 9.5))}, [2, 3]),
        ):
            assert ids(store.find(DATASET, Filter(**wanted), 9)) == found, wanted
            assert store.count(DATASET, Filter(**wanted)) == len(found), wanted
        assert ids(store.find(DATASET, Filter(), 2)) == [1, 2]
        assert 3 in ids(store.find(DATASET, Filter(since=late.time), 9))

    def test_a_repeated_request_changes_nothing(self, open_store: OpenStore) -> None:
        """The same key with the same words is the same request; with others it is refused."""
        store = open_store()
        keyed = Request("Ada", "k", "digest")
        made = store.create(DATASET, [point(), point(2.0)], keyed)
        assert store.create(DATASET, [point(), point(2.0)], keyed) == made
        assert store.count(DATASET, Filter()) == 2
        with pytest.raises(Conflict, match="The key k was that of another request"):
            store.delete(DATASET, [1], Request("Ada", "k", "other"))
        store.delete(DATASET, [1], Request("Bo", "k", "other"))
        gone = Request("Bo", "k", "other")
        assert ids(store.delete(DATASET, [1], gone)) == [1]
        assert store.last(DATASET) == 3

    def test_what_others_did_meanwhile_is_told(self, open_store: OpenStore) -> None:
        """A change that the author has not seen stands against a request, as a whole."""
        store = open_store()
        store.create(DATASET, [point(), point()], ADA)
        store.edit(DATASET, {2: {"text": "Bo was here"}}, BO)
        late = Request("Ada", seen=2)
        with pytest.raises(Conflict, match=r"annotation 2 was changed by Bo at 20.*revision 3, af"):
            store.edit(DATASET, {1: {"text": "new"}, 2: {"text": "mine"}}, late)
        assert [each.text for each in store.find(DATASET, Filter(), 9)] == ["", "Bo was here"]
        assert ids(store.delete(DATASET, [1], late)) == [1]
        store.edit(DATASET, {2: {"text": "mine"}}, Request("Ada", seen=3))
        with pytest.raises(Absent, match="annotation 1 was deleted by Ada at"):
            store.edit(DATASET, {1: {"text": "x"}}, late)
        with pytest.raises(Absent, match="There is no annotation 7"):
            store.delete(DATASET, [7], BO)
        with pytest.raises(Absent, match="There is no annotation 7"):
            store.history(DATASET, 7, 0, 9)

    def test_what_changes_nothing_is_no_change(self, open_store: OpenStore) -> None:
        """An edit to what is there makes no revision."""
        store = open_store()
        store.create(DATASET, [point(text="a")], ADA)
        assert store.edit(DATASET, {1: {"text": "a", "points": [(3.0, 2.0, 1.5)]}}, BO) == []
        assert store.last(DATASET) == 1
        with pytest.raises(BadRequest, match="annotation 1 is a point, of 1 points"):
            store.edit(DATASET, {1: {"points": [(0.0, 0.0, 0.0)] * 2}}, BO)

    def test_words_keep_their_order(self, open_store: OpenStore) -> None:
        """Tags and names are in the order of their first use."""
        store = open_store()
        store.create(DATASET, [point(tags=["z", "a"])], BO)
        store.create(DATASET, [point(tags=["a", "b"])], ADA)
        store.delete(DATASET, [1], BO)
        assert store.words(DATASET, "tag", 9) == ["z", "a", "b"]
        assert store.words(DATASET, "tag", 2) == ["z", "a"]
        assert store.words(DATASET, "user", 9) == ["Bo", "Ada"]

    def test_a_dataset_has_a_limit(
        self, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Deleted annotations do not count."""
        monkeypatch.setattr(stores, "MOST_KEPT", 2)
        store = open_store()
        store.create(DATASET, [point()] * 2, ADA)
        with pytest.raises(BadRequest, match="has up to 2 annotations"):
            store.create(DATASET, [point()], ADA)
        store.delete(DATASET, [2], ADA)
        assert ids(store.create(DATASET, [point()], ADA)) == [4]

    def test_writers_at_the_same_time(self, open_store: OpenStore) -> None:
        """Each change gets a number of its own."""
        store = open_store()
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: store.create(DATASET, [point()], ADA), range(12)))
        assert sorted(each.id for [each] in made) == list(range(1, 13))
        assert store.last(DATASET) == 12


class DurableAnnotationSuite(AnnotationSuite):
    """Tests that the store of a durable engine has to pass."""

    def test_another_process_sees_a_change_at_once(self, open_store: OpenStore) -> None:
        """A second store, as another process has it, reads and writes the same."""
        one, other = open_store(), open_store()
        assert one.durable
        assert other.find(DATASET, Filter(), 9) == []
        made = one.create(DATASET, [point(text="a")], ADA)
        assert other.find(DATASET, Filter(), 9) == made
        other.edit(DATASET, {1: {"text": "b"}}, BO)
        assert [each.text for each in one.find(DATASET, Filter(), 9)] == ["b"]

    def test_writers_in_several_stores(self, open_store: OpenStore) -> None:
        """No change of one is lost to another."""
        opened = [open_store() for _ in range(3)]

        def write(number: int) -> None:
            opened[number % 3].create(DATASET, [point(float(number))], ADA)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, range(9)))
        found = open_store().find(DATASET, Filter(), 20)
        assert ids(found) == list(range(1, 10))
        assert sorted(each.points[0][2] for each in found) == list(range(9))
