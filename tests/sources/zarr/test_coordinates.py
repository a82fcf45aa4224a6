"""Coordinate systems and transformations of OME-Zarr 0.6: what is applied, and what is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import ngff_zarr
import numpy as np
import pytest

from bfly.doctor.examine import examine
from bfly.errors import SourceError
from bfly.sources.zarr.source import Zarr
from bfly.storage.part import Part
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume
from tests.sources.zarr.ome_groups import axes, group, image, step

if TYPE_CHECKING:
    from pathlib import Path

EM = random_volume((8, 32, 48), "uint8")

SHEAR = step("affine", [[1, 0, 0, 0], [0, 1, 0.2, 0], [0, 0, 1, 0]])


def sequence(*steps: dict[str, Any], **words: Any) -> dict[str, Any]:
    return {"type": "sequence", "transformations": list(steps), **words}


def system(name: str, names: str = "zyx", unit: str = "nanometer") -> dict[str, Any]:
    return {"name": name, "axes": axes(names, unit)}


def write(
    path: Path,
    own: list[list[dict[str, Any]]],
    common: list[dict[str, Any]] | None = None,
    systems: list[dict[str, Any]] | None = None,
    volume: Any = EM,
) -> Path:
    """Write an image of 0.6, whose transformations lead from its arrays to `systems`."""
    for number, steps in enumerate(own):
        steps[0] |= {"input": {"path": str(number)}, "output": {"name": "physical"}}
    words = {"coordinateSystems": systems or [system("physical")], "axes": None}
    if common:
        words["coordinateTransformations"] = common
    levels = [volume[:, :: 1 << mip, :: 1 << mip] for mip in range(len(own))]
    return image(path, levels, 3, own, **words)


def ends(start: Any = "physical", end: Any = "world") -> dict[str, Any]:
    return {"input": {"name": start}, "output": {"name": end}}


def placed(path: Path, part: str = "") -> tuple[Any, Any]:
    """Return the voxel size and the position of mip 0."""
    source = Zarr.open(str(path), part=Part.parse(part))
    return source.voxel_size, source.scales[0].origin


def test_a_sequence_places_every_mip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = [
        [sequence(step("scale", [40, 4, 4]), step("translation", [80, 40, 20]))],
        [sequence(step("scale", [40, 8, 8]), step("translation", [80, 42, 22]))],
    ]
    path = write(tmp_path / "a.zarr", own)
    with caplog.at_level(logging.WARNING):
        source = Zarr.open(str(path))
    assert not caplog.records
    assert source.voxel_size == (40, 4, 4)
    assert [scale.origin for scale in source.scales.values()] == [(2, 10, 5), (2, 5, 2)]
    assert [scale.factor for scale in source.scales.values()] == [(1, 1, 1), (1, 2, 2)]
    for mip, scale in source.scales.items():
        np.testing.assert_array_equal(source.read(mip, scale.box), EM[:, :: 1 << mip, :: 1 << mip])


def test_an_identity_states_voxels_of_one_unit(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.zarr", [[{"type": "identity"}]], None, [system("physical", unit="micrometer")]
    )
    assert placed(path) == ((1000, 1000, 1000), (0, 0, 0))


@pytest.mark.parametrize(
    ("onward", "size", "place"),
    [
        (step("translation", [400, 40, 40]), (40, 4, 4), (10, 10, 10)),
        (step("scale", [2, 2, 2]), (80, 8, 8), (0, 0, 0)),
        ({"type": "identity"}, (40, 4, 4), (0, 0, 0)),
        (
            sequence(step("translation", [40, 0, 0]), step("scale", [1, 2, 2])),
            (40, 8, 8),
            (1, 0, 0),
        ),
        (
            {
                "type": "byDimension",
                "transformations": [
                    {
                        "inputAxes": [1, 2],
                        "outputAxes": [1, 2],
                        "transformation": step("translation", [8, 12]),
                    },
                    {"inputAxes": [0], "outputAxes": [0], "transformation": step("scale", [0.5])},
                ],
            },
            (20, 4, 4),
            (0, 2, 3),
        ),
    ],
)
def test_the_only_way_to_another_system_is_followed(
    tmp_path: Path, onward: dict[str, Any], size: Any, place: Any
) -> None:
    systems = [system("world"), system("physical")]
    path = write(
        tmp_path / "a.zarr", [[step("scale", [40, 4, 4])]], [{**onward, **ends()}], systems
    )
    assert placed(path) == (size, place)


@pytest.mark.parametrize("is_own", [True, False])
def test_axes_are_permuted(tmp_path: Path, is_own: bool) -> None:
    """The array is x, y, z; coordinate i is the index on axis ``mapAxis[i]``."""
    mapped = step("mapAxis", [2, 1, 0])
    moved = step("translation", [40, 8, 4])
    if is_own:
        own, common = [sequence(step("scale", [4, 5, 40]), mapped, moved)], None
        systems = [system("physical")]
    else:
        own, common = [step("scale", [4, 5, 40])], [{**sequence(mapped, moved), **ends()}]
        systems = [{"name": "physical", "axes": [{"name": f"dim_{n}"} for n in range(3)]}]
        systems.append(system("world"))
    turned = np.ascontiguousarray(EM[:4, :16, :16].T)
    path = write(tmp_path / "a.zarr", [own], common, systems, turned)
    assert placed(path) == ((40, 5, 4), (1, 1, 1))
    source = Zarr.open(str(path))
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), turned.T)


def test_names_of_drafts_are_read(tmp_path: Path) -> None:
    own = [[{**step("scale", [40, 4, 4]), "input": "0", "output": "physical"}]]
    onward = {**step("translation", [40, 4, 4]), "input": "physical", "output": "world"}
    words = {"coordinateSystems": [system("physical"), system("world")], "axes": None}
    path = image(tmp_path / "a.zarr", [EM], 3, own, coordinateTransformations=[onward], **words)
    assert placed(path) == ((40, 4, 4), (1, 1, 1))


@pytest.mark.parametrize(
    "other",
    [
        SHEAR,
        step("rotation", [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]),
        {"type": "displacements", "path": "field"},
        {"type": "coordinates", "path": "field"},
        {"type": "bijection", "forward": SHEAR, "inverse": SHEAR},
        {"type": "projectAxis", "droppedInputs": [0], "createdOutputs": [0]},
        {"type": "later"},
    ],
    ids=lambda other: other["type"],
)
def test_what_cannot_be_applied_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: dict[str, Any]
) -> None:
    """The voxels are those of the array, and the doctor says what is left out."""
    kind = other["type"]
    first = [sequence(step("scale", [40, 4, 4]), other, step("translation", [80, 40, 40]))]
    path = write(tmp_path / "a.zarr", [first])
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (0, 0, 0))
    assert f"{path}: its transformation {kind} is not applied, nor what follows it." in caplog.text
    source = Zarr.open(str(path))
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), EM)
    found = examine("a", str(path), "", lambda: Volume.open(ChannelSpec(str(path))))
    assert any(kind in finding.message for finding in found.findings)

    systems = [system("physical"), system("world")]
    path = write(tmp_path / "b.zarr", [[step("scale", [40, 4, 4])]], [{**other, **ends()}], systems)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (0, 0, 0))
    assert (
        f"{path}: its transformation {kind} (physical to world) is not applied; served is physical."
        in caplog.text
    )


def test_nothing_is_chosen_among_several_systems(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    systems = [system("physical"), system("stage"), system("atlas")]
    common = [
        {**step("translation", [40, 4, 4]), **ends("physical", "stage")},
        {**step("translation", [80, 8, 8]), **ends("physical", "atlas")},
    ]
    path = write(tmp_path / "a.zarr", [[step("scale", [40, 4, 4])]], common, systems)
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (0, 0, 0))
    for name in ("stage", "atlas"):
        assert f"translation (physical to {name}) is not applied; served is physical" in caplog.text


def test_labels_follow_their_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    systems = [system("physical"), system("world")]
    onward = {**step("translation", [400, 40, 40]), **ends()}
    to_label = {
        **{"type": "identity", "input": {"name": "physical"}},
        "output": {"name": "physical", "path": "labels/cells"},
    }
    path = write(tmp_path / "a.zarr", [[step("scale", [40, 4, 4])]], [onward, to_label], systems)
    group(path / "labels", 3, {"labels": ["cells"]})
    write(path / "labels" / "cells", [[step("scale", [80, 8, 8])]])
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (10, 10, 10))
        assert placed(path, "labels/cells") == ((80, 8, 8), (5, 5, 5))
    assert not caplog.records


def test_labels_that_their_image_moves_are_doubtful(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to_label = {
        **step("translation", [400, 40, 40]),
        **{"input": {"name": "physical"}},
        "output": {"name": "physical", "path": "labels/cells"},
    }
    path = write(tmp_path / "a.zarr", [[step("scale", [40, 4, 4])]], [to_label])
    group(path / "labels", 3, {"labels": ["cells"]})
    write(path / "labels" / "cells", [[step("scale", [80, 8, 8])]])
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (0, 0, 0))
        assert not caplog.records
        assert placed(path, "labels/cells") == ((80, 8, 8), (0, 0, 0))
    assert "translation (physical to physical of labels/cells) is not applied" in caplog.text


def test_transformations_of_older_versions_are_said_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = image(tmp_path / "a.zarr", [EM], steps=[[step("scale", [40, 4, 4]), SHEAR]])
    with caplog.at_level(logging.WARNING):
        assert placed(path) == ((40, 4, 4), (0, 0, 0))
    assert "its transformation affine is not applied" in caplog.text


@pytest.mark.parametrize(
    "bad",
    [
        step("scale", [1, 2]),
        step("translation", ["a", 1, 2]),
        step("mapAxis", [0, 0, 1]),
        {
            "type": "byDimension",
            "transformations": [
                {"inputAxes": [7], "outputAxes": [0], "transformation": {"type": "identity"}}
            ],
        },
        "scale",
    ],
)
def test_a_transformation_that_does_not_fit_is_refused(tmp_path: Path, bad: Any) -> None:
    path = image(tmp_path / "a.zarr", [EM], steps=[[bad]])
    with pytest.raises(SourceError, match="damaged metadata"):
        Zarr.open(str(path))


def test_transformations_of_a_scene_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    move = {"input": {"name": "physical", "path": "a"}, "output": {"name": "physical", "path": "b"}}
    words = {"coordinateTransformations": [{**step("translation", [40, 4, 4]), **move}]}
    group(tmp_path / "scene.zarr", 3, {"scene": words})
    for name in ("a", "c"):
        write(tmp_path / "scene.zarr" / name, [[step("scale", [40, 4, 4])]])
    with caplog.at_level(logging.WARNING):
        placed(tmp_path / "scene.zarr" / "c")
        assert not caplog.records
        placed(tmp_path / "scene.zarr" / "a")
    assert "the transformation translation of its scene is not applied" in caplog.text


@pytest.mark.filterwarnings("ignore")  # itkwasm and dask warn of things of their own
@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_what_ngff_zarr_writes(tmp_path: Path, version: str) -> None:
    sizes, places = (40.0, 4.0, 5.0), (80.0, 8.0, 15.0)
    image = ngff_zarr.to_ngff_image(
        EM,
        dims=[*"zyx"],
        scale=dict(zip("zyx", sizes, strict=True)),
        translation=dict(zip("zyx", places, strict=True)),
        axes_units=dict.fromkeys("zyx", "nanometer"),
    )
    path = str(tmp_path / "a.zarr")
    pyramid = ngff_zarr.to_multiscales(image, scale_factors=[2])
    ngff_zarr.to_ngff_zarr(path, pyramid, version=version)
    source = Zarr.open(path)
    assert (source.voxel_size, source.scales[0].origin) == (sizes, (2, 2, 3))
    assert {mip: scale.factor for mip, scale in source.scales.items()} == {
        0: (1, 1, 1),
        1: (2, 2, 2),
    }
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), EM)
