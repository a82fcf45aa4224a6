"""Fields of keywords: by attribute and by name, with lists, values and defaults."""

from __future__ import annotations

from bfly.keywords import RUNTIME, NamedStruct, NamelessStruct


def test_an_item_is_an_attribute_or_a_field_of_that_name() -> None:
    depth = NamedStruct("depth", VALUE=1)
    group = NamelessStruct(DEPTH=depth, WORDS=["a", "b"])
    assert group.DEPTH is group["DEPTH"] is group["depth"] is depth
    assert group["WORDS"] == ["a", "b"]
    assert depth["VALUE"] == 1
    assert group["height"] is None
    assert "DEPTH" in group
    assert "depth" in group
    assert "height" not in group


def test_get_has_a_default() -> None:
    group = NamelessStruct(Z=NamedStruct("z", VALUE=0))
    assert group.get("z") is group.Z
    assert group.get("Z").get("VALUE", 7) == 0
    assert group.get("y") is None
    assert group.get("y", {}) == {}


def test_the_list_begins_with_what_is_given() -> None:
    group = NamedStruct("g", A=NamedStruct("a"), OTHERS=["c", "b"], LIST=["b"])
    assert group.NAME == "g"
    assert group.LIST == ["b", "a", "c"]
    assert NamelessStruct().LIST == []
    assert NamelessStruct().VALUE is None


def test_instances_of_the_words_are_apart() -> None:
    one, other = RUNTIME(), RUNTIME()
    one.CACHE.MAX.VALUE = 5
    assert (one.CACHE["max-cache-size"].VALUE, other.CACHE.MAX.VALUE) == (5, 1 << 30)
    assert "max-cache-size" in one.CACHE
    assert list(one.CACHE) == ["meta-size", "max-cache-size", "max-block-size"]
