import logging
from importlib.metadata import EntryPoint

import pytest

from bfly import registry
from bfly.errors import MissingLibrary


@pytest.fixture(autouse=True)
def fresh():
    """Forget what was found before and after each test."""
    caches = (registry.names, registry.load, registry.find)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


def third_party(monkeypatch, **plug_ins):
    def entry_points(group):
        kind = group.removeprefix("bfly.")
        return [EntryPoint(n, v, group) for n, v in plug_ins.items() if kind == "sources"]

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("kind", ["databases", "encoders", "protocols", "sources"])
def test_the_tables_are_sorted_and_every_plug_in_loads(kind):
    table = registry.names(kind)
    assert list(table) == sorted(table)
    assert list(registry.find(kind)) == list(table)


def test_a_third_party_can_add_one_but_not_take_a_name(monkeypatch):
    third_party(monkeypatch, mine="collections:OrderedDict", hdf5="collections:Counter")
    assert registry.find("sources")["mine"].__name__ == "OrderedDict"
    assert registry.load("sources", "hdf5").__name__ == "HDF5"


def test_a_broken_one_is_named_and_the_others_work(monkeypatch, caplog):
    third_party(monkeypatch, broken="no.such.module:Thing", half="collections:Nothing")
    with caplog.at_level(logging.WARNING):
        found = registry.find("sources")
    assert {"broken", "half"}.isdisjoint(found)
    assert "hdf5" in found
    assert "plug-in broken is left out" in caplog.text
    assert "plug-in half is left out" in caplog.text


def test_a_missing_library_says_what_to_install(monkeypatch):
    third_party(monkeypatch, mine="no.such.module:Thing")
    with pytest.raises(MissingLibrary, match=r"pip install 'bfly\[all\]'"):
        registry.load("sources", "mine")
