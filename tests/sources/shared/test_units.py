import pytest

from bfly.sources.shared.units import nanometres, sizes


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("nm", 1), ("Nanometers", 1), ("um", 1e3), ("µm", 1e3), ("μm", 1e3), ("micron", 1e3),
        ("microns", 1e3), ("\\u00B5m", 1e3), (b"micrometer", 1e3), ('"mm"', 1e6), ("cm", 1e7),
        ("metre", 1e9), ("Å", 0.1), ("angstrom", 0.1), ("inch", 2.54e7), ("inches", 2.54e7),
        ("pixel", None), ("", None), (None, None), ("s", None), ("unknown", None),
    ],
)  # fmt: skip
def test_units(unit, size):
    assert nanometres(unit) == size


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_size_that_is_no_length(bad):
    assert sizes((1, 2, 3), 10.0) == (10, 20, 30)
    assert sizes((1, bad, 3), 10.0) is None
    assert sizes((1, 2, 3), None) is None
