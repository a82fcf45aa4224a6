"""Which images of a folder are the sections of one volume, by their names."""

from __future__ import annotations

import itertools
from itertools import product
from time import perf_counter

import pytest

from bfly.sources.shared.image_names import named
from bfly.storage.part import WHOLE, Part


def spread(form: str, **places) -> list[str]:
    """Return names for all combinations of places on axes."""
    return [form.format(**dict(zip(places, at, strict=True))) for at in product(*places.values())]


def parts(names: list[str]) -> dict[str, list[str]]:
    return {str(part): sorted(group) for part, group in named(names).volumes.items()}


@pytest.mark.parametrize(
    ("form", "marks"),
    [
        ("img_z{z:03}_c{c}.png", "01"),
        ("C{c:02}_Z{z:03}.tif", range(2)),
        ("s_C{c:03}Z{z:03}.tif", range(1, 3)),
        ("ch{c}_{z:03}.tif", range(1, 4)),
        ("Series001_z{z:02}_ch{c:02}.tif", range(2)),
        ("r01c01f01p{z:02}-ch{c}sk1fk1fl1.tiff", range(1, 3)),
        ("img_channel{c:03}_position000_time000000000_z{z:03}.tif", range(2)),
        ("exp_w{c}_s{z}_t1.TIF", range(1, 4)),
        ("TSeries-01-Cycle00001_Ch{c}_{z:06}.ome.tif", range(1, 3)),
        ("img_000000000_{c}_{z:03}.tif", ["DAPI", "Cy5", "GFP"]),
        ("exp_w{c}_z{z}.tif", ["1DAPI", "2Cy5"]),
        ("{c}-{z}.png", ["raw", "mask"]),
        ("{z:04}.{c}.jpg", ["em", "seg"]),
    ],
)
def test_marked_channels_are_a_volume_each(form, marks):
    found = parts(spread(form, z=range(5), c=marks))
    assert list(found.values()) == [sorted(spread(form, z=range(5), c=[mark])) for mark in marks]
    assert all(part.startswith("c=") for part in found)


def test_the_places_are_numbers_without_zeros_or_words():
    assert [*parts(spread("C{c:02}_Z{z}.tif", c=(0, 3), z=range(4)))] == ["c=0", "c=3"]
    assert [*parts(spread("img_000000000_{c}_{z:03}.tif", c=("DAPI", "GFP"), z=range(4)))] == [
        "c=DAPI",
        "c=GFP",
    ]


@pytest.mark.parametrize(
    ("form", "channels"),
    [
        ("Cycle{t:05}_Ch{c}_{z:06}.ome.tif", (1, 2)),
        ("img_channel{c:03}_position000_time{t:09}_z{z:03}.tif", (1, 2)),
        ("img_{t:09}_{c}_{z:03}.tif", ("DAPI", "Cy5")),
        ("s_t{t}_z{z}_c{c}.png", (1, 2)),
    ],
)
def test_times_and_channels_are_a_volume_each(form, channels):
    found = parts(spread(form, t=(1, 2), c=channels, z=range(3)))
    assert found == {
        f"c={c},t={t}": spread(form, t=[t], c=[c], z=range(3)) for t, c in product((1, 2), channels)
    }


def test_cycles_of_one_section_are_the_sections():
    names = spread("TSeries-01-Cycle{t:05}_Ch{c}_000001.ome.tif", c=(1, 2), t=range(1, 4))
    assert parts(names) == {"c=1": names[:3], "c=2": names[3:]}


def test_a_channel_may_lack_sections():
    names = spread("s{z}_c{c}.png", c=(0, 1), z=range(6))
    names.remove("s3_c1.png")
    assert [len(group) for group in parts(names).values()] == [6, 5]


def test_copies_in_another_format_are_a_volume_each():
    names = spread("s{z:03}.{f}", f=("png", "tif"), z=range(4))
    assert parts(names) == {"f=png": names[:4], "f=tif": names[4:]}
    assert parts(names[:3] + names[4:7] + ["s009.tif"]).keys() == {"f=png", "f=tif"}
    both = spread("z{z}_c{c}.{f}", f=("png", "tif"), c=(0, 1), z=range(4))
    assert [*parts(both)] == ["c=0,f=png", "c=1,f=png", "c=0,f=tif", "c=1,f=tif"]


@pytest.mark.parametrize(
    "names",
    [
        ["only.png"],
        ["first.png", "s1.png", "s7.png"],
        ["cat.png", "dog.png", "s1.png"],
        ["001.png", "01.png", "1.png"],
        spread("iso.{z}.png", z=range(12)),
        spread("c{z:03}.png", z=range(100)),
        spread("a{a}_s1{z}.png", a=[1], z=range(5)) + spread("a{a}_s2{z}.png", a=[2], z=range(5)),
        spread("left_{z}.png", z=range(10)) + spread("right_{z}.png", z=range(10, 20)),
        [f"s{z:03}_{z * 12_347 + 5}.png" for z in range(20)],
        [*spread("s{z}.png", z=range(5)), "s5.tif", "s6.tif"],
    ],
)
def test_a_stack_is_one_volume_without_a_doubt(names):
    found = named(names)
    assert {part: sorted(group) for part, group in found.volumes.items()} == {WHOLE: sorted(names)}
    assert (list(found.doubts), list(found.thumbnails)) == ([], [])


@pytest.mark.parametrize(
    ("names", "doubt"),
    [
        (
            spread("z{z}_x{x}_y{y}.png", z=range(3), x=range(2), y=range(2)),
            "its names count z of 3, x of 2 and y of 2",
        ),
        (
            spread("s{z}_r{r}_c{c}.png", z=range(3), r=range(2), c=range(2)),
            "its names count s of 3, r of 2 and c of 2",
        ),
        (
            spread("mip{m}_{z:02}.png", m=range(2), z=range(9)),
            "its names count mip of 2 and a word or number of 9",
        ),
        (
            spread("W{w:02}_Sec{z:03}.png", w=range(1, 4), z=range(5)),
            "its names count wafer of 3 and sec of 5",
        ),
        (spread("x_c{c}.tif", c=range(3)), "its names count c of 3"),
        (
            spread("s{z}{half}.png", half="ab", z=range(4)),
            "s0a.png and s0b.png have the same numbers",
        ),
        (
            spread("s{z}{copy}.png", copy=("", " (1)", " copy"), z=range(4)),
            "s0.png and s0 (1).png have the same numbers",
        ),
        (
            spread("s{z}{what}.png", what=("", "_mask"), z=range(4)),
            "s0.png and s0_mask.png have the same numbers",
        ),
        (
            [*spread("s{z}.png", z=range(9)), "s8.tif", "s9.tif", "s10.tif"],
            "s8.png and s8.tif are two sections",
        ),
        (
            spread("c0_{z}.png", z=range(4)) + spread("c1_{z}.png", z=range(4, 8)),
            "its names count c of 2 and a word or number of 8",
        ),
    ],
)
def test_what_the_names_leave_in_doubt_is_told(names, doubt):
    found = named(names)
    assert {part: sorted(group) for part, group in found.volumes.items()} == {WHOLE: sorted(names)}
    assert found.doubts == [doubt]


def test_thumbnails_beside_sections_are_none():
    sections = spread("s{z}.png", z=range(4))
    small = [*spread("s{z}_thumb.png", z=range(4)), *spread("Thumbnail-s{z}.png", z=range(4))]
    found = named(sections + small)
    assert (dict(found.volumes), found.thumbnails) == ({WHOLE: sections}, small)
    assert dict(named(small).volumes) == {WHOLE: small}


def test_ids_of_images_are_no_places():
    """As ImageXpress writes them, behind the site and the wavelength."""
    ids = (f"{number:08X}-AB12-4CDE-9F01-23456789ABCD" for number in itertools.count(77, 13_777))
    names = [f"A01_s{z}_w{c}_{next(ids)}.tif" for z, c in product(range(1, 5), (1, 2))]
    small = [f"A01_s{z}_w{c}_thumb{next(ids)}.tif" for z, c in product(range(1, 5), (1, 2))]
    found = named(names + small)
    assert {str(part): list(group) for part, group in found.volumes.items()} == {
        "c=1": names[::2],
        "c=2": names[1::2],
    }
    assert found.thumbnails == small


def test_as_many_groups_as_no_microscope_has_are_no_volumes():
    found = named(spread("t{t}_z{z}.png", t=range(300), z=range(3)))
    assert [*found.volumes] == [WHOLE]
    assert found.doubts == ["its names count t of 300 and z of 3"]


def test_a_large_stack_is_looked_at_quickly():
    names = spread("slice_{z:07}.png", z=range(200_000))
    start = perf_counter()
    assert [*named(names).volumes] == [Part()]
    assert perf_counter() - start < 2
