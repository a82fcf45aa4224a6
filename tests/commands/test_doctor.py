"""``bfly doctor`` as a command: each defect is found, and sound channels have no findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EM = random_volume((24, 96, 80), "uint8")
LABELS = random_volume((24, 96, 80), "uint64") >> np.uint64(40)
CHUNKS = (8, 32, 32)


def hdf5(path: Path, voxels: np.ndarray, size: tuple[float, ...] | None = (30, 4, 4)) -> None:
    with h5py.File(path, "w") as file:
        main = file.create_dataset(
            "main", data=voxels, chunks=tuple(map(min, CHUNKS, voxels.shape)), compression="gzip"
        )
        if size:
            main.attrs["resolution"] = size


def stack(folder: Path) -> None:
    folder.mkdir()
    for z, section in enumerate(EM):
        (folder / f"section_{z:03}.png").write_bytes(imagecodecs.png_encode(section))


def boss(path: Path, *missing: int) -> None:
    """Write a list of tiles, one a section, of which some are listed and not there."""
    tiles = path.parent / f"{path.name}.tiles"
    tiles.mkdir()
    for z, section in enumerate(EM):
        if z not in missing:
            (tiles / f".{z}.png").write_bytes(imagecodecs.png_encode(section))
    listed = [
        {"location": f"{tiles.name}/.{z}.png", "z": z, "row": 0, "column": 0}
        for z in range(len(EM))
    ]
    size = dict(zip("zyx", (1, *EM.shape[1:]), strict=True))
    extent = {axis: [0, n] for axis, n in zip("zyx", EM.shape, strict=True)}
    path.write_text(
        json.dumps({"ingest_job": {"tile_size": size, "extent": extent}, "tiles": listed})
    )


def make_healthy(folder: Path) -> None:
    hdf5(folder / "em.h5", EM)
    hdf5(folder / "segmentation.h5", LABELS)
    hdf5(folder / "mask.h5", (EM > 128).astype(np.uint16) * np.uint16(65535))


def missing_file(folder: Path) -> None:
    boss(folder / "tiles.json", 5, 7)


def truncated_file(folder: Path) -> None:
    hdf5(folder / "cut.h5", EM)
    os.truncate(folder / "cut.h5", (folder / "cut.h5").stat().st_size // 2)


def gap(folder: Path) -> None:
    stack(folder / "gappy")
    (folder / "gappy" / "section_011.png").unlink()


def swapped_axes(folder: Path) -> None:
    hdf5(folder / "turned.h5", random_volume((96, 80, 16), "uint8"))


def all_fill(folder: Path) -> None:
    hdf5(folder / "empty.h5", np.zeros_like(EM))


def narrow_labels(folder: Path) -> None:
    z, y, x = EM.shape
    cells = random_volume((z, -(-y // 8), -(-x // 8)), "uint16")
    hdf5(folder / "narrow.h5", cells.repeat(8, 1).repeat(8, 2)[:, :y, :x])


def damaged_chunk(folder: Path) -> None:
    hdf5(folder / "damaged.h5", EM)
    with h5py.File(folder / "damaged.h5") as file:
        chunk = file["main"].id.get_chunk_info(0)
    with open(folder / "damaged.h5", "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))


def unsuited_chunks(folder: Path) -> None:
    with h5py.File(folder / "columns.h5", "w") as file:
        voxels = random_volume((2, 512, 512), "uint8")
        main = file.create_dataset("main", data=voxels, chunks=(2, 4, 4))
        main.attrs["resolution"] = 30, 4, 4


DEFECTS: dict[str, tuple[Callable[[Path], None], str, bool, str]] = {
    "tiles.json": (missing_file, "files", True, "2 of 24 files are not there: "),
    "cut.h5": (truncated_file, "open", True, "truncated file"),
    "gappy": (gap, "gaps", True, "between section_010.png and section_012.png"),
    "turned.h5": (swapped_axes, "axes", False, "96 sections of 80 x 16 voxels"),
    "empty.h5": (all_fill, "fill", True, "hold nothing but 0"),
    "narrow.h5": (narrow_labels, "dtype", False, "uint16 holds no more than 65,535"),
    "damaged.h5": (damaged_chunk, "damage", True, "of 16 tiles looked at cannot be read"),
    "columns.h5": (unsuited_chunks, "chunks", False, "takes 16,384 chunks"),
}
"""By the channel: what makes it, and the check, whether it is an error, and what is said."""

UNSTATED = {"tiles.json", "gappy"}
"""Formats that cannot state the size of a voxel."""


def doctor(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bfly", "doctor", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout if "--json" in words else done.stdout + done.stderr


def found_in(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the findings by channel, but for those on voxel sizes that a format cannot state."""
    _, said = doctor(folder, "-e", ".", "--json")
    return {
        each["name"]: [
            finding
            for finding in each["findings"]
            if finding["check"] != "voxel-size" or each["name"] not in UNSTATED
        ]
        for each in json.loads(said)["channels"]
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a name that can be a sample's."""
    place = tmp_path / "sample"
    place.mkdir()
    return place


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_and_it_alone(name: str, folder: Path) -> None:
    make, check, is_error, said = DEFECTS[name]
    make(folder)
    make_healthy(folder)
    found = found_in(folder)
    (finding,) = found.pop(name)
    assert (finding["check"], finding["is_error"]) == (check, is_error)
    assert said in finding["message"]
    assert set(found) == {"em.h5", "segmentation.h5", "mask.h5"}
    assert not any(found.values()), found


def test_eight_defects_in_one_folder_are_eight_findings(folder: Path) -> None:
    for make, *_ in DEFECTS.values():
        make(folder)
    found = found_in(folder)
    assert {name: [each["check"] for each in findings] for name, findings in found.items()} == {
        name: [check] for name, (_, check, *_) in DEFECTS.items()
    }
    code, said = doctor(folder, "-e", ".")
    assert code == 1
    assert "bfly: 5 of 8 have errors." in said
    for name, (_, _, is_error, _) in DEFECTS.items():
        assert name in said
        assert ("error" if is_error else "warning") in said


def test_it_is_quiet_on_a_healthy_folder(folder: Path) -> None:
    make_healthy(folder)
    code, said = doctor(folder, "-e", ".")
    assert code == 0, said
    assert said.count("healthy") == 3
    assert "warning" not in said
    assert "error" not in said


def test_json_has_the_facts(folder: Path) -> None:
    hdf5(folder / "em.h5", EM)
    code, said = doctor(folder, "-e", ".", "--json")
    assert code == 0
    document = json.loads(said)
    (channel,) = document["channels"]
    facts = channel["facts"]
    assert facts.pop("read_ms") > 0
    assert facts == {
        "format": "hdf5",
        "kind": "image",
        "kind_source": "voxels: 0% repeat",
        "dtype": "uint8",
        "shape": list(EM.shape),
        "chunk": list(CHUNKS),
        "mips": [0],
        "voxel_size": [30, 4, 4],
        "voxel_size_source": "file: attribute resolution",
        "planes": ["xy", "xz", "yz"],
    }
    assert (channel["healthy"], document["errors"], document["warnings"]) == (True, 0, 0)


def test_what_a_folder_skips_is_told(folder: Path) -> None:
    make_healthy(folder)
    (folder / "no.h5").write_bytes(b"nothing of HDF5")
    (folder / "cut.json").write_text('{"ingest_job": {')
    (folder / "settings.json").write_text("{}")
    (folder / "page.js.map").write_text('{"version": 3}')
    (folder / "envi.HDR").write_text("ENVI\nsamples = 5\n")
    (folder / "cut.rec").write_bytes(bytes(10))
    found = found_in(folder)
    assert found.keys().isdisjoint(("settings.json", "page.js.map", "envi.HDR"))
    assert [each["check"] for each in found["cut.rec"]] == ["skipped"]
    assert [each["check"] for each in found["cut.json"]] == ["skipped"]
    (finding,) = found["no.h5"]
    assert finding["is_error"]
    assert "not an HDF5 file" in finding["message"]


def test_a_configuration_is_examined(folder: Path, make_tree: Callable[..., Any]) -> None:
    hdf5(folder / "em.h5", EM, None)
    channels = [
        {"name": "em", "path": str(folder / "em.h5"), "voxel_size": [4, 4, 30]},
        {"name": "gone", "path": str(folder / "gone.h5")},
    ]
    make_tree(*channels).save(str(folder / "bfly.yaml"))
    code, said = doctor(folder, "-e", "bfly.yaml")
    assert code == 1
    assert "longest along x" in said
    assert "gone.h5 does not exist." in said


def test_metadata_that_cannot_be_read_is_an_error(folder: Path) -> None:
    make_healthy(folder)
    (folder / "synapse-connections.json").write_text('{"neuron_1": [')
    found = found_in(folder)
    (finding,) = found.pop(folder.name)
    assert (finding["check"], finding["is_error"]) == ("metadata", True)
    assert "synapse-connections.json is not whole JSON" in finding["message"]
    assert set(found) == {"em.h5", "segmentation.h5", "mask.h5"}
    code, said = doctor(folder, "-e", ".")
    assert code == 1
    assert "bfly: 1 of 4 have errors." in said


def test_metadata_of_a_channel_is_examined_too(folder: Path, make_tree: Callable[..., Any]) -> None:
    hdf5(folder / "em.h5", EM)
    (folder / "meta").mkdir()
    (folder / "meta" / "neuron-soma.json").write_text("[7]")
    channel = {"name": "em", "path": str(folder / "em.h5"), "dpath": str(folder / "meta")}
    make_tree(channel).save(str(folder / "bfly.yaml"))
    code, said = doctor(folder, "-e", "bfly.yaml")
    assert code == 1
    assert "[0] is 7; needed is" in said


def test_mended_mistakes_are_warnings(folder: Path, make_tree: Callable[..., Any]) -> None:
    hdf5(folder / "em.h5", EM)
    make_tree({"name": "em", "path": str(folder / "em.h5")}).save(str(folder / "bfly.yaml"))
    with open(folder / "bfly.yaml", "a") as file:
        file.write("  prot: 1\n")
    code, said = doctor(folder, "-e", "bfly.yaml", "--json")
    assert code == 0
    em, config = json.loads(said)["channels"]
    assert em["healthy"]
    assert config["name"] == "bfly.yaml"
    (finding,) = config["findings"]
    assert (finding["check"], finding["is_error"]) == ("configuration", False)
    assert "did you mean port? It is ignored." in finding["message"]
